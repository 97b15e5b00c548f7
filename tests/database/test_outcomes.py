"""
    Outcomes: the app is told of each delivery that has come to its end
"""

import logging

import pytest

from support.employment import Employer

from mails3.delivery.outcomes import Outcomes

ANNE, BOB, CAROL = "anne@example.org", "bob@example.org", "carol@example.org"

# -----------------------------------------------------------------------------
@pytest.fixture
def told(office):
    """ What the app is told: list of (address, state) """

    told = []
    office.mail.on_outcome(lambda delivery: told.append((delivery.address, delivery.state)))
    return told

# =============================================================================
class TestOutcomes:
    """ A function of the app is called once for each delivery """

    def test_each_end_is_told_once(self, office, told):
        """ What is sent, rejected or failed is told once, and what is deferred is not """

        office.relay.answer("RCPT", "451 4.3.0 Later", to=BOB)
        office.relay.answer("RCPT", "550 5.1.1 No such user", to=CAROL)
        office.mail.send([ANNE, BOB, CAROL], "News", "There is news.")
        office.queue("late@example.org", expires=-1)
        for _ in range(2):
            office.drain()

        assert sorted(told) == [(ANNE, "sent"), (CAROL, "rejected"),
                                ("late@example.org", "failed")]

    def test_a_worker_tells_what_others_have_ended(self, office, told, tmp_path):
        """ A worker of our own tells of a mail that was cancelled, with its next turn """

        anne = office.queue(ANNE, not_before=3600)
        office.mail.cancel(anne)
        office.db.commit()
        assert told == []
        employer = Employer(office, tmp_path)
        try:
            employer.process.duties.mail.outcome_functions[:] = office.mail.outcome_functions
            employer.turn()
        finally:
            employer.close()

        assert told == [(ANNE, "failed")]

    def test_what_it_writes_is_committed(self, office):
        """ What a function writes is committed, and what it has written before an error is not """

        table = office.db.mails3_incident
        office.mail.on_outcome(lambda delivery: table.insert(name=delivery.address))

        @office.mail.on_outcome
        def fails(delivery):
            table.insert(name="undone")
            raise ValueError("secret")

        office.queue(ANNE)
        office.drain()
        office.db.rollback()

        assert [row.name for row in office.db(table.name.contains(("example.org", "undone"),
                                                                  all=False)).select()] == [ANNE]

    def test_an_error_harms_no_mail(self, office, caplog):
        """ An error in a function is logged without its text, and the next mail is told of """

        calls = []

        @office.mail.on_outcome
        def fails(delivery):
            calls.append(delivery.address)
            office.db.executesql("SELECT secret FROM nowhere")

        with caplog.at_level(logging.ERROR, "web2py.mails3"):
            office.queue(ANNE, BOB)
            office.drain()
            office.drain()

        assert sorted(calls) == [ANNE, BOB]
        assert {delivery.state for number in (1, 2) for delivery in office.mail.find(number)} == \
            {"sent"}
        assert "on_outcome" in caplog.text and "secret" not in caplog.text

    def test_a_function_that_commits_is_not_called_again(self, office):
        """ A function that ends the transaction is called once all the same """

        calls = []

        @office.mail.on_outcome
        def commits(delivery):
            calls.append(delivery.address)
            office.db.commit()

        office.queue(ANNE)
        for _ in range(2):
            office.drain()
            Outcomes(office.mail.channel()).tell()

        assert calls == [ANNE]

    def test_a_killed_worker_has_told_nothing(self, office, told):
        """ What a worker was telling when it was killed is told again """

        class Killed(BaseException):
            """ The end of a process """

        def dies(delivery):
            raise Killed

        office.mail.outcome_functions.append(dies)
        office.queue(ANNE)
        with pytest.raises(Killed):
            office.drain()
        office.db.rollback()
        office.mail.outcome_functions.remove(dies)
        Outcomes(office.mail.channel()).tell()

        assert told == [(ANNE, "sent")] * 2

    def test_nothing_is_kept_for_an_app_that_does_not_ask(self, small_office):
        """ Without a function, no outcome is stored """

        small_office.queue(ANNE)
        small_office.drain()

        assert small_office.db(small_office.db.mails3_outcome).isempty()

# END =========================================================================
