"""
    Messaging > Outbox: a column tells what a mail of MailS3 is
"""

import pytest

from gluon import current

from .host import ADMIN
from .test_permissions import MESSENGER, USERS
from .visitor import EdenVisitor

ANNE, PAGE = "anne@example.org", ("msg", "outbox")

# -----------------------------------------------------------------------------
def column(branch):
    """ The texts of the column, as Eden makes them: dict {number: text or link} """

    table = branch.s3db.msg_outbox
    (_, name), = [field for field in branch.s3db.get_config("msg_outbox", "list_fields")
                  if isinstance(field, tuple)]
    rows = branch.db(table.id > 0).select(table.id, table.status)
    represent = table[name].handler.represent
    return represent.bulk([row[name]() for row in rows], list_type=False)

# =============================================================================
class TestColumn:
    """ The column, on the stand-in for Eden """

    def test_a_mail_shows_recipient_and_subject(self, branch):
        """ Each mail shows its recipient and its subject, as a link for an admin """

        assert branch.mail.send([ANNE, "bob@example.org"], "News", "There is news.")

        branch.request(page=PAGE)
        assert [str(text) for text in column(branch).values()] == \
            ["<span>%s: News</span>" % address for address in (ANNE, "bob@example.org")]
        branch.request(page=PAGE, roles=("ADMIN",))
        link = list(column(branch).values())[0]
        assert link.components[0] == ANNE + ": News"
        assert link["_href"] == "/shelter/mails3/show/%s" % branch.numbers()[0]

    def test_the_subject_of_a_secret_mail_is_for_admins(self, small_branch):
        """ Only an admin sees the subject of a mail that carries a secret """

        branch = small_branch
        assert branch.mail.send(ANNE, "Your code is 1234", "Enter it.", secret=True)

        branch.request(page=PAGE)
        assert [text.components[0] for text in column(branch).values()] == [ANNE]
        branch.request(page=PAGE, roles=("ADMIN",))
        assert list(column(branch).values())[0].components[0] == ANNE + ": Your code is 1234"

    def test_messages_of_eden_look_as_before(self, small_branch):
        """ A message of Eden's own has nothing in the column: Eden shows who gets it """

        branch = small_branch
        branch.msg.send_by_pe_id(branch.person(ANNE)["pe_id"], "News", "There is news.")
        branch.drain()

        branch.request(page=PAGE, roles=("ADMIN",))
        assert list(column(branch).values()) == ["-"]

    def test_other_formats_have_no_link(self, small_branch):
        """ A spreadsheet gets the text without a link """

        branch = small_branch
        assert branch.mail.send(ANNE, "News\tof today", "There is news.")
        branch.request(page=PAGE, roles=("ADMIN",))

        branch.s3db.msg_outbox.mails3_mail.handler.represent.show_link = False

        assert list(column(branch).values()) == [ANNE + ": News of today"]

    @pytest.mark.parametrize("page", [None, ("msg", "email_outbox"), ("mails3", "index")])
    def test_other_pages_are_as_before(self, small_branch, page):
        """ No other page has the column """

        small_branch.request(page=page)

        small_branch.s3db.table("msg_outbox")
        assert small_branch.s3db.get_config("msg_outbox", "list_fields") == \
            ["id", "message_id", "pe_id", "status"]

    def test_a_template_without_messaging_works(self, small_branch, caplog):
        """ Without Eden's messaging there is no column, and no error """

        del small_branch.eden.settings["modules"]["msg"]
        small_branch.request(page=PAGE)

        assert current.mail is small_branch.mail
        assert "column" not in caplog.text

    def test_the_page_works_if_our_tables_do_not(self, small_branch):
        """ Eden's page works if our tables can't be read """

        assert small_branch.mail.send(ANNE, "News", "There is news.")
        small_branch.request(page=PAGE)
        represent = small_branch.s3db.msg_outbox.mails3_mail.handler.represent
        small_branch.db.executesql("ALTER TABLE mails3_message RENAME TO away")

        try:
            assert list(represent.bulk([1]).values()) == ["-"]
        finally:
            small_branch.db.executesql("ALTER TABLE away RENAME TO mails3_message")

# =============================================================================
class TestPage:
    """ The page, in a real Eden """

    @pytest.fixture(scope="class")
    def office(self, eden):
        """ A site with two mails that wait, and a message of Eden's own """

        with eden.site("sqlite") as site:
            site.configure(mail={"server": "127.0.0.1:1", "sender": "shelter@example.org",
                                 "fallback": False})
            site.install()
            site.shell(USERS)
            site.shell("mail.send('anne@example.org', '<b>News</b> & more', 'There is news.')\n"
                       "mail.send('bob@example.org', 'Code 1234', 'Enter it.', secret=True)\n"
                       "record = {'id': s3db.pr_person.insert(first_name='Carl')}\n"
                       "s3db.update_super(s3db.pr_person, record)\n"
                       "msg.send_by_pe_id(record['pe_id'], 'Hello', 'Dear Carl')")
            site.serve()
            yield site

    @pytest.mark.parametrize("who", (ADMIN, MESSENGER), ids=("ADMIN", "messenger"))
    def test_the_page_shows_recipient_and_subject(self, office, who):
        """ Each mail shows its recipient and subject, and leads an admin to its story """

        visitor = EdenVisitor(office)
        visitor.log_in(*who)
        visitor.visit("msg/outbox")
        heads = [head.get_text() for head in visitor.page.select("th")]
        # The script of the page fetches the rows
        rows = rows_of(visitor, "draw=1&start=0&length=50")

        assert "Recipient, Subject" in heads
        carl, bob, anne = rows[:3]
        assert carl["message"] == "Dear Carl" and carl["mail"] == "-"
        if who == ADMIN:
            assert anne["mail"] == '<a href="/%s/mails3/show/%s">anne@example.org: ' \
                '&lt;b&gt;News&lt;/b&gt; &amp; more</a>' % (office.app, anne["number"])
            assert "bob@example.org: Code 1234</a>" in bob["mail"]
            visitor.visit("mails3/show/%s" % anne["number"])
            assert "anne@example.org" in visitor.reads
        else:
            assert anne["mail"] == \
                "<span>anne@example.org: &lt;b&gt;News&lt;/b&gt; &amp; more</span>"
            assert bob["mail"] == "<span>bob@example.org</span>"
        assert office.tickets() == []

    def test_the_page_can_be_sorted_and_searched(self, office):
        """ The page has all rows if a user sorts it by a column, or searches """

        visitor = EdenVisitor(office)
        visitor.log_in(*ADMIN)
        numbers = [row["number"] for row in rows_of(visitor, "draw=1&start=0&length=50")]

        for column in range(5):
            rows = rows_of(visitor, "draw=1&start=0&length=50&iSortingCols=1&iSortCol_0=%s"
                                    "&sSortDir_0=asc" % column)
            assert [row["number"] for row in rows] == numbers
        found = rows_of(visitor, "draw=1&start=0&length=50&iColumns=5&sSearch=carl")
        assert "Dear Carl" in [row["message"] for row in found]
        assert office.tickets() == []

    @pytest.mark.parametrize("extension", ["xls", "pdf", "csv", "xml", "s3json", "json"])
    def test_other_formats_work_as_before(self, office, extension):
        """ Each format of the page works, and has no subject of a mail that carries a secret """

        visitor = EdenVisitor(office)
        visitor.log_in(*MESSENGER)

        response = visitor.session.get("%s/msg/outbox.%s" % (office.url, extension))

        assert response.status_code == 200
        assert b"1234" not in response.content
        assert office.tickets() == []

# -----------------------------------------------------------------------------
def rows_of(visitor, query):
    """ The rows that the script of the page gets, the last first (list of dict) """

    response = visitor.session.get("%s/msg/outbox.aadata?%s" % (visitor.site.url, query))
    names = ("number", "message", "person", "mail", "status")
    rows = [dict(zip(names, row)) for row in response.json()["data"]]
    return sorted(rows, key=lambda row: -int(row["number"]))

# END =========================================================================
