# -*- coding: utf-8 -*-

"""
    What a monitoring system wants to know, in Prometheus' text format

    https://prometheus.io/docs/instrumenting/exposition_formats/

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from datetime import datetime

from ..delivery.breaker import TRIPPED, is_paused

__all__ = ("CONTENT_TYPE", "exposition")

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

EPOCH = datetime(1970, 1, 1)

# -----------------------------------------------------------------------------
def exposition(status):
    """
        The metrics of a site

        Args:
            status: its Status

        Returns:
            the text (str)
    """

    lines = []

    def metric(name, kind, meaning, samples):
        lines.append("# HELP mails3_%s %s" % (name, meaning))
        lines.append("# TYPE mails3_%s %s" % (name, kind))
        for labels, value in samples:
            lines.append("mails3_%s%s %s" % (name, labels, value))

    def one(value):
        return [("", value)] if value is not None else []

    report, relay, now = status.report, status.relay, status.now
    db, oldest = status.mail.db, report.oldest()
    purged_sent, purged_attempts = purged(db)

    metric("status", "gauge", "0 mail flows, 1 it waits for something, 2 somebody "
           "has to repair something.", one(status.level))
    metric("deliveries", "gauge", "Deliveries in the outbox by state.",
           [('{state="%s"}' % state, number)
            for state, number in report.counts().items()])
    metric("oldest_unsent_age_seconds", "gauge",
           "Age of the oldest delivery that is not sent yet, 0 if there is none.",
           one(max((now - oldest).total_seconds(), 0) if oldest else 0))
    metric("sent_total", "counter", "Deliveries that the mail server has accepted.",
           one(report.ever_sent() + purged_sent))
    metric("refusals_total", "counter", "Attempts that were in vain.",
           one(db(db.mails3_attempt).count() + purged_attempts))
    metric("suspended", "gauge", "1 while mail is held, as the mail server or the "
           "configuration is broken.", one(int(relay.status == TRIPPED)))
    metric("paused", "gauge", "1 while an admin has paused sending.",
           one(int(is_paused(relay, now))))
    metric("workers", "gauge", "Scheduler workers that are alive.", one(status.workers))
    metric("last_drain_timestamp_seconds", "gauge", "When a run was last at work.",
           one(seconds(relay.drained_on)))
    metric("last_retry_timestamp_seconds", "gauge", "When the last retry pass began.",
           one(seconds(relay.retried_on)))
    metric("stored_bytes", "gauge", "Size of all messages that are kept.",
           one(report.sizes()["bytes"]))
    return "\n".join(lines) + "\n"

# -----------------------------------------------------------------------------
def purged(db):
    """ What the purge has removed: (deliveries sent, vain attempts) """

    table = db.mails3_channel
    rows = db(table).select(table.purged_sent, table.purged_attempts)
    return (sum(row.purged_sent or 0 for row in rows),
            sum(row.purged_attempts or 0 for row in rows))

# -----------------------------------------------------------------------------
def seconds(when):
    """ A time, as Prometheus counts it """

    return None if when is None else (when - EPOCH).total_seconds()

# END =========================================================================
