"""
    The pages of the shelter
"""

from contextlib import contextmanager

@contextmanager
def breakdown(happens):
    """ Fail when all is done; no page, as it has an argument """

    try:
        yield
    finally:
        # Even if that was to redirect the visitor
        if happens and request.post_vars:
            raise RuntimeError("breakdown")

# =============================================================================
def index():
    """ Who is logged in; with a greeting, as in web2py's scaffolding app """

    response.flash = response.flash or T("Hello World")
    return {}

# =============================================================================
def user():
    """ Register, log in, reset a password, ... """

    with breakdown(configuration.get("auth.breakdown")):
        return {"form": auth()}

# =============================================================================
@auth.requires_login()
def bulk():
    """ Invite people by e-mail """

    response.view = "default/user.html"
    with breakdown(configuration.get("auth.breakdown")):
        return {"form": auth.bulk_register()}

# =============================================================================
# Nothing to click on: what apps do to their mailer, for the tests to POST
#
@request.restful()
def flood():
    """ Send many mails in one request, tell how many were accepted """

    def POST(to, number):

        return str(sum(bool(mail.send(to = to,
                                      subject = "News %d" % n,
                                      message = "There is news.",
                                      ))
                       for n in range(int(number))))

    return locals()

# =============================================================================
@request.restful()
def boom():
    """ Send a mail, then fail: what was written to the database is undone """

    def POST(to):

        mail.send(to = to,
                  subject = "Never to be seen",
                  message = "This mail has never existed.",
                  )
        raise RuntimeError("boom")

    return locals()

# END =========================================================================
