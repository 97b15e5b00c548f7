# -*- coding: utf-8 -*-

"""
    Stand-ins: the methods of Eden that MailS3 replaces in each request, so that
    Eden's own code queues mail and wakes our worker

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import functools

from gluon import current

from ...queue.database import execute
from ...states import EMAIL
from .settings import NO_SENDER

__all__ = ("StandIns", "automatic")

# The length of the column msg_email.subject (characters)
MAX_SUBJECT = 78

# =============================================================================
class StandIns:
    """ The stand-ins for methods of Eden, for one request """

    def __init__(self, mail):
        """
            Args:
                mail: the EdenMail
        """

        self.mail = mail

    # -------------------------------------------------------------------------
    def install(self, msg, s3task, settings):
        """
            Replace the methods

            Args:
                msg: the S3Msg of this request
                s3task: the S3Task of this request
                settings: the deployment settings
        """

        self._replace_settings(settings)
        msg.send_email = self._send_email(msg.send_email)
        msg.send_by_pe_id = self._send_by_pe_id(msg.send_by_pe_id)
        msg.send_email_by_pe_id = self._send_email_by_pe_id(msg)
        msg.process_outbox = self.mail.process_outbox
        s3task.run_async = self._run_async(s3task.run_async)

    # -------------------------------------------------------------------------
    def _replace_settings(self, settings):
        """
            Give Eden a sender, because it sends nothing without one; take the
            daily limit from Eden, because our worker checks it
        """

        sender = self.mail.settings.sender or NO_SENDER
        # Setting an attribute of a Storage would set an item
        vars(settings).update(get_mail_sender = lambda: sender,
                              get_mail_limit = lambda: None,
                              )

    # -------------------------------------------------------------------------
    @staticmethod
    def _send_email(send_email):
        """ The stand-in for S3Msg.send_email(): queues (by current.mail) """

        @functools.wraps(send_email)
        def queue_email(*args, **kwargs):
            # Stock Eden shows the mailer's error to the visitor, and clears
            # session.error after a success
            error = current.session.error
            try:
                return send_email(*args, **kwargs)
            finally:
                current.session.error = error

        return queue_email

    # -------------------------------------------------------------------------
    def _send_by_pe_id(self, send_by_pe_id):
        """ The stand-in for S3Msg.send_by_pe_id(): our worker sends the message """

        @functools.wraps(send_by_pe_id)
        def queue_by_pe_id(pe_id, subject="", message="", contact_method=EMAIL,
                           document_ids=None, from_address=None, *args, **kwargs):
            # Eden's form has no choice if the person has only an address
            contact_method = contact_method or EMAIL
            # A longer subject makes PostgreSQL roll back the transaction
            subject = str(subject or "")[:MAX_SUBJECT]
            eden_message_id = send_by_pe_id(pe_id, subject, message, contact_method,
                                            document_ids, from_address, *args, **kwargs)
            if eden_message_id and contact_method == EMAIL and not from_address:
                # Stock Eden stores the sender that is configured now; without
                # a stored one, the sender is read when the mail is sent
                execute(self.mail.db, "UPDATE msg_email SET from_address = NULL "
                                      "WHERE message_id = ?", int(eden_message_id))
            self.mail.start_message(eden_message_id, contact_method)
            return eden_message_id

        return queue_by_pe_id

    # -------------------------------------------------------------------------
    @staticmethod
    def _send_email_by_pe_id(msg):
        """
            The stand-in for S3Msg.send_email_by_pe_id(): stock Eden passes on
            from_address as document_ids
        """

        @functools.wraps(msg.send_email_by_pe_id)
        def queue_email_by_pe_id(pe_id, subject="", message="", from_address=None,
                                 system_generated=False):
            return msg.send_by_pe_id(pe_id, subject, message, EMAIL,
                                     from_address = from_address,
                                     system_generated = system_generated,
                                     )

        return queue_email_by_pe_id

    # -------------------------------------------------------------------------
    def _run_async(self, run_async):
        """ The stand-in for S3Task.run_async(): wakes our worker for the outbox """

        @functools.wraps(run_async)
        def wake_or_run(task, args=None, *others, **kwargs):
            if task == "msg_process_outbox":
                self.mail.wakeup.wake(args[0] if args else EMAIL)
                return None
            return run_async(task, args, *others, **kwargs)

        return wake_or_run

# -----------------------------------------------------------------------------
def automatic(mail, send_welcome_email):
    """
        The stand-in for AuthS3.s3_send_welcome_email(), which is the only mail of
        Auth that does not go by the mailer of Auth

        Args:
            mail: the EdenMail
            send_welcome_email: Eden's own method
    """

    @functools.wraps(send_welcome_email)
    def s3_send_welcome_email(user, password=None):
        sender, current.mail = current.mail, mail.for_auth(secret=bool(password))
        try:
            return send_welcome_email(user, password)
        finally:
            current.mail = sender

    return s3_send_welcome_email

# END =========================================================================
