# -*- coding: utf-8 -*-

"""
    Metrics for a monitoring system, in Prometheus' text format:
    https://prometheus.io/docs/instrumenting/exposition_formats/

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from datetime import datetime

from ..delivery.breaker import is_paused
from .relay_list import label_of

__all__ = ("CONTENT_TYPE", "exposition")

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

EPOCH = datetime(1970, 1, 1) # UTC

# What is learned of each relay: (name, meaning, function of the Pace; None = nothing)
PACE_METRICS = (
    ("messages_per_second", "How much a mail server takes, as learned from its refusals.",
     lambda pace: pace.rate),
    ("backoff", "1 while a mail server wants less mail, and single messages find out when it "
     "takes mail again.", lambda pace: int(bool(pace.backoff_s))),
    ("sessions", "How many sessions at a time a mail server takes, as learned from its refusals.",
     lambda pace: pace.max_sessions),
    ("messages_per_session", "How many messages by one session a mail server takes, as learned "
     "from its refusals.", lambda pace: pace.messages_per_session),
    )

# -----------------------------------------------------------------------------
def exposition(status):
    """
        The metrics of a site

        Args:
            status: its Status

        Returns:
            the text (str)
    """

    return "".join(metric_text(*metric) for metric in metrics(status))

# -----------------------------------------------------------------------------
def metrics(status):
    """
        Read the metrics

        Args:
            status: the Status

        Returns:
            generator of tuples (name, type, help, value): value is a number, None
            if there is no value, or a dict {labels: number}; labels: list of
            tuples (name, text)
    """

    report, row, now = status.report, status.channel_row, status.now
    db, oldest = status.mail.db, report.oldest()
    purged_sent, purged_attempts = purged(db)

    yield ("status", "gauge", "0 mail flows, 1 it waits for something, 2 somebody has to "
           "repair something.", status.level)
    yield ("deliveries", "gauge", "Deliveries in the outbox by state.",
           {(("state", state),): count for state, count in report.counts().items()})
    yield ("oldest_unsent_age_seconds", "gauge",
           "Age of the oldest delivery that is not sent yet, 0 if all are sent.",
           max((now - oldest).total_seconds(), 0) if oldest else 0)
    yield ("sent_total", "counter", "Deliveries that the mail server has accepted.",
           report.ever_sent() + purged_sent)
    yield ("refusals_total", "counter", "Attempts that failed.",
           db(db.mails3_attempt).count() + purged_attempts)
    yield ("suspended", "gauge", "1 while sending is suspended, because a mail server or its "
           "configuration is broken, and no other mail server takes the mail.",
           int(any(state.is_suspended and not state.replacement for state in status.relays)))
    yield ("relay_suspended", "gauge", "1 while sending by a mail server is suspended.",
           {(("relay", label_of(state.relay)),): int(state.is_suspended)
            for state in status.relays})
    yield ("suspended_info", "gauge", "The mail server and the cause (relay, configuration) of "
           "the suspension.", suspension(status))
    yield ("suspended_timestamp_seconds", "gauge", "Since when sending by a mail server is "
           "suspended.", {(("relay", label_of(state.relay)),): unix_time(state.row.tripped_on)
                          for state in status.relays if state.is_suspended})
    yield ("next_probe_timestamp_seconds", "gauge", "When a mail server is asked again, at the "
           "earliest.", {(("relay", label_of(state.relay)),): unix_time(state.row.probe_on)
                         for state in status.relays
                         if state.is_suspended and not state.row.login_refused})
    yield ("paused", "gauge", "1 while an admin has paused sending.",
           int(is_paused(row, now)))
    yield from limit_metrics(status.limits_by_relay)
    yield ("workers", "gauge", "Workers that are alive, ours and those of the scheduler.",
           status.workers)
    yield ("last_drain_timestamp_seconds", "gauge", "When a run was last at work.",
           unix_time(status.drained_on))
    yield ("last_retry_timestamp_seconds", "gauge", "When the last retry pass began.",
           unix_time(row.retried_on))
    yield ("stored_bytes", "gauge", "Size of all messages that are kept.",
           report.sizes()["bytes"])

# -----------------------------------------------------------------------------
def limit_metrics(reports):
    """
        The metrics of the limits

        Args:
            reports: dict {label of a relay: its LimitsReport}, the first relay first

        Returns:
            as metrics()
    """

    limits = next(iter(reports.values()))
    # Of several rates for one period, the smallest one counts
    rates = {(("relay", relay), ("period_s", str(rate.period_s))): (rate, report.now_s)
             for relay, report in reports.items()
             for rate in sorted(report.limits.rates, key = lambda rate: -rate.most)}
    yield ("rate_most", "gauge", "How much may be sent in a period, by the setting rate.",
           {labels: rate.most for labels, (rate, _) in rates.items()})
    yield ("rate_used", "gauge", "How much of that is used.",
           {labels: rate.used(now_s) for labels, (rate, now_s) in rates.items()})
    yield ("host_limit_used", "gauge", "How many messages count for a limit of the host app.",
           {(("limit", str(limit)),): limit.used(limits.now) for limit in limits.host_limits})
    yield ("limit_reached", "gauge", "1 while mail waits for a limit, which is no problem.",
           int(bool(limits.reason)))
    yield ("limit_last_timestamp_seconds", "gauge", "About when the last mail that waits for a "
           "limit is sent.", unix_time(limits.last_on))
    for name, meaning, value in PACE_METRICS:
        values = {relay: value(report.pace) for relay, report in reports.items()}
        yield ("pace_%s" % name, "gauge", meaning,
               {(("relay", relay),): number for relay, number in values.items()
                if number is not None})

# -----------------------------------------------------------------------------
def suspension(status):
    """ Why sending is suspended, with labels as from metrics() """

    return {(("relay", label_of(state.relay)), ("server", state.server or ""),
             ("cause", state.row.cause or "")): 1
            for state in status.relays if state.is_suspended}

# -----------------------------------------------------------------------------
def metric_text(name, kind, meaning, value):
    """ One metric in the text format (arguments: as from metrics()) """

    lines = ["# HELP mails3_%s %s" % (name, meaning),
             "# TYPE mails3_%s %s" % (name, kind)]
    if isinstance(value, dict):
        lines.extend("mails3_%s{%s} %s" % (name, ",".join(map(label, labels)), number)
                     for labels, number in value.items())
    elif value is not None:
        lines.append("mails3_%s %s" % (name, value))
    return "".join("%s\n" % line for line in lines)

# -----------------------------------------------------------------------------
def label(pair):
    """ A label in the text format (pair: tuple (name, text)) """

    name, text = pair
    for char, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n")):
        text = text.replace(char, escaped)
    return '%s="%s"' % (name, text)

# -----------------------------------------------------------------------------
def purged(db):
    """ How much the purge has removed: tuple (sent deliveries, failed attempts) """

    table = db.mails3_channel
    rows = db(table).select(table.purged_sent, table.purged_attempts)
    return (sum(row.purged_sent or 0 for row in rows),
            sum(row.purged_attempts or 0 for row in rows))

# -----------------------------------------------------------------------------
def unix_time(when):
    """ Seconds since 1970 (when: datetime, UTC; None = never, returns None) """

    return None if when is None else (when - EPOCH).total_seconds()

# END =========================================================================
