"""
    A copy of an Eden mails and texts nobody (on the stand-in for Eden)
"""

import pytest

from support.office import lose_a_worker

from mails3.states import DRAFT, SENT

from .fake_gateway import FakeGateway

ANNE, BOB, CARL, ME = "anne@example.org", "bob@example.org", "carl@example.org", "me@example.com"
PHONE = "+49 170 1234567"

each_setting = pytest.mark.parametrize("given", [{"delivery": "capture"}, {"redirect_to": ME},
                                                 {"only_to": "*@example.com"}], ids=str)

# =============================================================================
class TestCopyOfEden:
    """ A staging copy of an Eden with mail waiting in it """

    @staticmethod
    def fill(branch):
        """ Mail that waits: in doubt, Eden's own to persons and a group, and of send() """

        branch.msg.send_by_pe_id(branch.person(ANNE)["pe_id"], "News", "There is news.")
        lose_a_worker(branch)
        branch.msg.send_by_pe_id(branch.group(BOB, CARL), "News", "There is news.")
        branch.mail.send([ANNE, BOB], "Both", "There is news.")
        branch.db.commit()

    @each_setting
    @pytest.mark.parametrize("way", ["drain", "process_outbox"])
    def test_waiting_mail_reaches_nobody(self, branch, given, way):
        """ Neither a worker nor Eden's process_outbox sends a waiting mail to its recipients """

        self.fill(branch)
        branch.configure(**given)

        if way == "drain":
            branch.mail.drain()
            branch.mail.retry()
        else:
            branch.mail.process_outbox()

        # In doubt: Anne; Bob and Carl of the group; one for both
        assert branch.addresses() == ([ME] * 4 if "redirect_to" in given else [])
        state = "sent" if "redirect_to" in given else "captured"
        counts = branch.mail.report().counts()
        assert {name: count for name, count in counts.items() if count} == {state: 5}

    @each_setting
    def test_mail_of_a_request_reaches_nobody(self, branch, given):
        """ What Eden itself sends in a request goes the same way """

        branch.configure(**given)
        branch.msg.send_by_pe_id(branch.person(ANNE)["pe_id"], "News", "There is news.")
        branch.msg.send_email(BOB, "News", "There is news.")
        branch.drain()

        assert set(branch.addresses()) <= {ME}
        assert len(branch.relay.mails) == (2 if "redirect_to" in given else 0)

    @each_setting
    def test_no_text_is_sent(self, small_branch, given):
        """ Texts by SMS are captured by each of these settings """

        with FakeGateway() as gateway:
            channel = small_branch.insert("msg_sms_webapi_channel", url=gateway.url,
                                          parameters="user=anne")
            small_branch.insert("msg_sms_outbound_gateway", channel_id=channel["channel_id"])
            anne = small_branch.person()
            small_branch.contact(anne, PHONE, contact_method="SMS")
            small_branch.msg.send_by_pe_id(anne["pe_id"], message="Water", contact_method="SMS")
            small_branch.configure(**given)

            small_branch.send_channels()

            assert not (gateway.texts or gateway.asked)
        (status, attempts, reply), = small_branch.outbox()
        assert (status, attempts) == (DRAFT, 0)
        assert reply.startswith("Captured")

    def test_a_release_in_eden_is_captured_again(self, branch):
        """ Who makes a captured row unsent in Eden's outbox sends nobody anything """

        self.fill(branch)
        branch.configure(delivery="capture")
        branch.drain()
        table = branch.s3db.msg_outbox
        branch.db(table.status == DRAFT).update(status=1)
        branch.db.commit()

        branch.mail.process_outbox()
        branch.drain()

        assert branch.addresses() == []
        assert set(branch.statuses()) - {SENT} == {DRAFT}

# END =========================================================================
