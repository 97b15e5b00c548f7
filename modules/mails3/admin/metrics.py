# -*- coding: utf-8 -*-

"""
    Metrics for a monitoring system, in Prometheus' text format:
    https://prometheus.io/docs/instrumenting/exposition_formats/

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from datetime import datetime

from ..delivery.breaker import TRIPPED, is_paused

__all__ = ("CONTENT_TYPE", "exposition")

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

EPOCH = datetime(1970, 1, 1) # UTC

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
            if there is no value, or a dict {state: number}
    """

    report, row, now = status.report, status.channel_row, status.now
    db, oldest = status.mail.db, report.oldest()
    purged_sent, purged_attempts = purged(db)

    yield ("status", "gauge", "0 mail flows, 1 it waits for something, 2 somebody has to "
           "repair something.", status.level)
    yield ("deliveries", "gauge", "Deliveries in the outbox by state.", report.counts())
    yield ("oldest_unsent_age_seconds", "gauge",
           "Age of the oldest delivery that is not sent yet, 0 if all are sent.",
           max((now - oldest).total_seconds(), 0) if oldest else 0)
    yield ("sent_total", "counter", "Deliveries that the mail server has accepted.",
           report.ever_sent() + purged_sent)
    yield ("refusals_total", "counter", "Attempts that failed.",
           db(db.mails3_attempt).count() + purged_attempts)
    yield ("suspended", "gauge", "1 while sending is suspended, because the mail server or "
           "the configuration is broken.", int(row.status == TRIPPED))
    yield ("paused", "gauge", "1 while an admin has paused sending.",
           int(is_paused(row, now)))
    yield ("workers", "gauge", "Workers that are alive, ours and those of the scheduler.",
           status.workers)
    yield ("last_drain_timestamp_seconds", "gauge", "When a run was last at work.",
           unix_time(row.drained_on))
    yield ("last_retry_timestamp_seconds", "gauge", "When the last retry pass began.",
           unix_time(row.retried_on))
    yield ("stored_bytes", "gauge", "Size of all messages that are kept.",
           report.sizes()["bytes"])

# -----------------------------------------------------------------------------
def metric_text(name, kind, meaning, value):
    """ One metric in the text format (arguments: as from metrics()) """

    lines = ["# HELP mails3_%s %s" % (name, meaning),
             "# TYPE mails3_%s %s" % (name, kind)]
    if isinstance(value, dict):
        lines.extend('mails3_%s{state="%s"} %s' % (name, state, count)
                     for state, count in value.items())
    elif value is not None:
        lines.append("mails3_%s %s" % (name, value))
    return "".join("%s\n" % line for line in lines)

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
