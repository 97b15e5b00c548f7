# -*- coding: utf-8 -*-

"""
    What happens next to a delivery

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from ..states import SENT
from .times import stamp

__all__ = ("next_step",)

# What happens to a delivery that has reached its end, or that a person has held
NEXT_STEPS = {
    "expanded": "It is no mail itself: each of the people it stands for gets a mail.",
    "sent": "The mail server has accepted it. If it does not arrive, look in the "
            "log of the mail server, and in the recipient's spam folder.",
    "held": "It is held until somebody releases it.",
    "captured": "It was kept in place of being sent: nobody has got it, and nobody gets it "
                "unless somebody releases it.",
    "rejected": "It is not tried again: it was refused for good. Requeue it when the "
                "reason is gone.",
    }

# -----------------------------------------------------------------------------
def next_step(entry, status):
    """
        What happens next to a delivery, and when

        Args:
            entry: as from the Report
            status: the Status

        Returns:
            one or two sentences
    """

    state = entry["state"]
    if state in NEXT_STEPS:
        return NEXT_STEPS[state]
    if state == "deleted":
        return "It was sent, and then deleted in the outbox of the app." \
               if entry["status"] == SENT and entry["message_id"] else \
               "It is not sent: somebody has deleted it in the outbox of the app."
    if state == "failed":
        return "It is not tried again. Requeue it to try it again." if entry["reply"] else \
               "It is not tried again."

    if entry["leased_until"] and entry["leased_until"] > status.now and entry["begun_on"]:
        return "It is being sent just now."
    if state == "scheduled":
        return "It is sent at %s." % stamp(max(entry["due_on"], status.now))
    if status.capture.reason(entry["address"]):
        return "It is going to be captured, and sent to nobody."
    if status.holding:
        waits = " ".join("%s %s%s. %s" % ("And:" if index else "It waits:",
                                          problem.title[0].lower(), problem.title[1:],
                                          problem.detail)
                         for index, problem in enumerate(status.holding))
        return waits if status.is_attended else "%s %s" % (waits, status.outlook)
    if state == "deferred":
        return "It is tried again at %s, by the next retry pass after that." % \
               stamp(entry["due_on"])
    if status.limits.reason:
        return "It waits for a limit: %s." % status.limits.reason
    return "It is sent with the next drain, within seconds." if status.workers else \
           "It is sent with the next drain."

# END =========================================================================
