"""
    A visitor of a site, with a browser
"""

from mechanicalsoup import StatefulBrowser

SECRET = "a long secret"

# =============================================================================
class Visitor(StatefulBrowser):
    """ Somebody with a browser of their own """

    def __init__(self, site):

        super().__init__(raise_on_404=True)
        self.site = site

    # -------------------------------------------------------------------------
    def visit(self, page):
        """ Open a page of the app (path in it); the response """

        return self.open("%s/%s" % (self.site.url, page))

    # -------------------------------------------------------------------------
    def fill_in(self, page=None, **fields):
        """
            Send the form that has these fields, on a page or on the current one;
            the response
        """

        if page:
            self.visit(page)
        # A page may have other forms as well: search, language, login
        self.select_form("form" + "".join(":has([name=%s])" % name for name in fields))
        for name, value in fields.items():
            self[name] = value
        return self.submit_selected()

    # -------------------------------------------------------------------------
    def register(self, address, **fields):
        """ Register; the response """

        return self.fill_in("default/user/register",
                            first_name = "Anne",
                            last_name = "Example",
                            email = address,
                            password = SECRET,
                            password_two = SECRET,
                            **fields)

    # -------------------------------------------------------------------------
    def log_in(self, address, password=SECRET):
        """ Log in; the response """

        return self.fill_in("default/user/login", email=address, password=password)

    # -------------------------------------------------------------------------
    @property
    def reads(self):
        """ The text of the current page """

        return self.page.text

# END =========================================================================
