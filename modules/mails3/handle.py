# -*- coding: utf-8 -*-

"""
    What an app asks of mail that it has queued, and does with it

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from .admin.operator import Operator
from .queue.lookup import find

__all__ = ("Handle",)

# Who has done it, for the log and the story of a mail
BY = "the app"

# =============================================================================
class Handle:
    """
        The part of MailS3 that finds mail again, in the caller's transaction

        which: the number of a delivery (int), as on the page and the command
               line; or a message, with all its deliveries: the Queued that send()
               has left in mail.queued, its Message-ID, its idempotency key (str)
    """

    queued = None # the Queued of the last send(); None = it has queued nothing

    # -------------------------------------------------------------------------
    def find(self, which):
        """
            What has become of a mail

            Args:
                which: see Handle

            Returns:
                list of QueuedDelivery (queue/lookup.py), in the order of the
                recipients: state, attempts, the next attempt, the last reply;
                empty if there is no such mail, or it is purged

            Raises:
                TypeError: which is something else
        """

        return find(self.report(), which)

    # -------------------------------------------------------------------------
    def cancel(self, which):
        """
            Do not send a mail that is new, deferred or held, as an admin's verb
            cancel; others stay as they are, and so does one that is being sent
            just now

            Args:
                which: see Handle

            Returns:
                list of the numbers of the deliveries that are cancelled, with
                the caller's commit

            Raises:
                TypeError: which is something else
        """

        return self._each(which, Operator.cancel)

    # -------------------------------------------------------------------------
    def requeue(self, which):
        """
            Begin again with a mail that is not sent, as if it were new, as an
            admin's verb requeue; not possible if it has been sent, or its
            content has been dropped

            Args:
                which: see Handle

            Returns:
                list of the numbers of the deliveries that are new, with the
                caller's commit

            Raises:
                TypeError: which is something else
        """

        return self._each(which, Operator.requeue)

    # -------------------------------------------------------------------------
    def on_outcome(self, function):
        """
            Have a function called for each delivery that comes to its end: sent,
            rejected or failed; in a model that sorts after tasks_mail.py, as the
            models run in each process that sends
            - it is called soon after, by the process that sends, in a transaction of
              its own, which is committed after it; it must neither commit nor roll
              back, and should not take long
            - what it writes in this database happens once for each delivery. If the
              process is killed while it runs, that is undone, and it is called
              again: what it does elsewhere may happen twice.
            - what it raises is logged, and undoes what it has written; it is not
              called again for that

            Args:
                function: takes a QueuedDelivery (queue/lookup.py)

            Returns:
                the function, so that this may be its decorator
        """

        self.outcome_functions.append(function)
        return function

    # -------------------------------------------------------------------------
    def _each(self, which, verb):
        """ Do a verb of the Operator to the deliveries of a mail; returns the numbers (list) """

        numbers = [delivery.number for delivery in self.find(which)]
        return verb(Operator(self, BY), numbers)[0]

# END =========================================================================
