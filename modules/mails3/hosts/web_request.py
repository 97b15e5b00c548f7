# -*- coding: utf-8 -*-

"""
    The request of a visitor, as web2py knows it: its process can send after it

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from contextlib import contextmanager

from gluon import current

from ..service.web_sender import WebRequest, can_run_threads

__all__ = ("web_request_of",)

# -----------------------------------------------------------------------------
def web_request_of(mail):
    """
        What sends after this request

        Args:
            mail: the MailS3 of this request

        Returns:
            the WebRequest; None in a script, a task or the shell, and where no
            thread goes on after the request
    """

    env = current.request.env
    # With CGI the process ends with its request (PEP 3333: wsgi.run_once)
    if not env.request_method or env.wsgi_run_once or not can_run_threads():
        return None
    return WebRequest(mail, keep_globals)

# -----------------------------------------------------------------------------
def keep_globals(mail):
    """ See WebRequest: what gluon keeps for each thread """

    kept = dict(vars(current), mail=mail)

    @contextmanager
    def globals_of_request():
        vars(current).update(kept)
        try:
            yield
        finally:
            vars(current).clear()

    return globals_of_request

# END =========================================================================
