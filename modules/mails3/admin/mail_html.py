# -*- coding: utf-8 -*-

"""
    The HTML of a mail, made harmless for the admin's page

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from html import escape
from html.parser import HTMLParser

__all__ = ("harmless",)

# No links and no images: an image would tell the sender that somebody reads the mail
TAGS = ("b", "blockquote", "br", "code", "div", "em", "h1", "h2", "h3", "h4", "hr",
        "i", "li", "ol", "p", "pre", "span", "strong", "table", "tbody", "td", "th",
        "thead", "tr", "u", "ul")
EMPTY_TAGS = ("br", "hr")

# Tags whose content is dropped as well
DROPPED_TAGS = ("script", "style", "title", "head")

# -----------------------------------------------------------------------------
def harmless(html):
    """
        Remove all but text and plain tags from HTML
        - tags have no attributes in the result, and are balanced: nothing
          that follows the result on the page is inside it or closed by it
        - gluon.sanitizer.sanitize() and yatl.sanitizer.sanitize() can't be used:
          they raise IndexError for a closing tag without an opening one, like
          "</div></div>text", and mail has such

        Args:
            html: any text (str)

        Returns:
            HTML (str)
    """

    reader = Reader()
    reader.feed(html)
    reader.close()
    return "".join(reader.kept + ["</%s>" % tag for tag in reversed(reader.open_tags)])

# =============================================================================
class Reader(HTMLParser):
    """ Reads HTML, and keeps its text and its plain tags """

    def __init__(self):

        super().__init__(convert_charrefs=True)
        self.kept = []      # parts of the result
        self.open_tags = [] # the innermost last
        self.dropping = 0   # depth within DROPPED_TAGS

    # -------------------------------------------------------------------------
    def handle_starttag(self, tag, attrs):

        if tag in DROPPED_TAGS:
            self.dropping += 1
        elif tag in TAGS and not self.dropping:
            self.kept.append("<%s>" % tag)
            if tag not in EMPTY_TAGS:
                self.open_tags.append(tag)

    # -------------------------------------------------------------------------
    def handle_endtag(self, tag):

        if tag in DROPPED_TAGS:
            self.dropping = max(self.dropping - 1, 0)
        elif tag in self.open_tags:
            # Close the tags that are open within it as well
            while True:
                closed = self.open_tags.pop()
                self.kept.append("</%s>" % closed)
                if closed == tag:
                    break

    # -------------------------------------------------------------------------
    def handle_data(self, data):

        if not self.dropping:
            self.kept.append(escape(data))

# END =========================================================================
