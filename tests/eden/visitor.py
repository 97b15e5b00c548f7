"""
    A visitor of an Eden, with a browser
"""

from support.visitor import Visitor

# =============================================================================
class EdenVisitor(Visitor):
    """ Sees what the site says above the page """

    @property
    def told(self):
        """ The messages: errors, warnings, confirmations (list of texts) """

        return [message.get_text() for message in self.page.select("#alert-space .alert")]

    # -------------------------------------------------------------------------
    @property
    def logged_in(self):
        """ Whether the current page is that of a user """

        return bool(self.page.select("a[href*='/user/logout']"))

# END =========================================================================
