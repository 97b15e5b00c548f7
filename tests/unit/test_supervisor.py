"""
    The supervisor of the verb work: its processes, signals and ends
"""

import os
import signal
import socket
import sys

from threading import Thread

import pytest

from support.site import eventually
from support.supervised import Supervised, is_running
from support.terminal import CTRL_C

from mails3.service.seat import MAX_PAUSE_S, Seat, SupervisorLink

# -----------------------------------------------------------------------------
@pytest.fixture
def supervised(tmp_path):
    """ An app whose supervisor is about to start """

    with Supervised(tmp_path) as supervised:
        yield supervised

# =============================================================================
class TestStart:
    """ The processes are started, and started again """

    def test_a_process_for_each_seat(self, supervised):
        """ The processes are as many as were asked for, and the output says so """

        supervised.start(3)

        for number in range(3):
            supervised.wait_for("ready %s" % number)
        assert supervised.end() == 0
        assert supervised.process.stdout.read() == \
            b"mails3: Sending the mail of shelter, by 3 processes.\n"

    def test_models_are_run_by_one_process_at_a_time(self, supervised):
        """ A process is started when the one before has run the models """

        supervised.start(3)

        supervised.wait_for("ready 2")
        assert supervised.log == ["started 0", "ready 0", "started 1", "ready 1",
                                  "started 2", "ready 2"]

    def test_a_killed_process_is_started_again(self, supervised):
        """ A process that is killed has a successor in its seat, and the other goes on """

        supervised.start(2)
        supervised.wait_for("ready 0")
        supervised.wait_for("ready 1")

        os.kill(supervised.process_ids("ready")[supervised.log.index("ready 0") // 2],
                signal.SIGKILL)

        assert eventually(lambda: len(supervised.process_ids("ready")) == 3)
        assert supervised.end() == 0

    def test_a_process_that_can_not_be_started_ends_nothing(self, capsys, tmp_path):
        """ A program that is missing is told, and tried again later """

        now = [0]
        seat = Seat(tmp_path, ["/nowhere/python3"], clock=lambda: now[0])
        for _ in range(3):
            seat.fill()
            now[0] += MAX_PAUSE_S

        assert capsys.readouterr().err.count("A process can't be started") == 3
        assert not seat.is_busy()

    def test_starts_that_fail_become_rare(self, tmp_path):
        """ A process that fails at once is started ever less often, at least each half minute """

        now, starts = [0], []
        seat = Seat(tmp_path, [sys.executable, "-c", "raise SystemExit(1)"], clock=lambda: now[0])
        while now[0] < 160:
            seat.fill()
            if seat.successor:
                starts.append(now[0])
                seat.successor.process.wait()
            now[0] += 1

        pauses = [later - earlier for earlier, later in zip(starts, starts[1:])]
        assert pauses == [1, 2, 4, 8, 16, 30, 30, 30, 30]

    def test_a_repaired_app_is_tried_at_once(self, supervised):
        """ A changed module of an app that does not run ends the pause before the next start """

        module = supervised.app / "modules" / "helper.py"
        module.write_text("broken")
        supervised.tell("broken")
        supervised.start(1, "patient")
        supervised.wait_for("failed 0")

        supervised.no_longer("broken")
        module.write_text("repaired")

        supervised.wait_for("ready 0")
        assert supervised.end() == 0

# =============================================================================
class TestReplace:
    """ A new process takes the seat before the old one ends """

    def test_a_reload_leaves_no_gap(self, supervised):
        """ After SIGHUP, the old process works until the new one has run the models """

        supervised.start()
        supervised.wait_for("ready 0")
        supervised.tell("loading")
        supervised.process.send_signal(signal.SIGHUP)
        supervised.wait_for("started 0", 2)
        assert "stopping 0" not in supervised.log

        supervised.no_longer("loading")

        supervised.wait_for("ended 0")
        assert supervised.log == ["started 0", "ready 0", "started 0", "ready 0",
                                  "stopping 0", "ended 0"]
        assert supervised.end() == 0

    def test_a_process_may_ask_for_a_successor(self, supervised):
        """ A process that asks to be replaced ends when another one is ready """

        supervised.start()
        supervised.wait_for("ready 0")

        supervised.tell("old")

        supervised.wait_for("ended 0")
        assert supervised.process_ids("ended") == supervised.process_ids("ready")[:1]
        assert len(supervised.process_ids("ready")) == 2
        assert supervised.end() == 0

    def test_a_broken_app_keeps_its_old_process(self, supervised):
        """ If the app does not run any more, the old process works until it does """

        supervised.start()
        supervised.wait_for("ready 0")
        supervised.tell("broken")
        supervised.process.send_signal(signal.SIGHUP)
        supervised.wait_for("failed 0", 2)
        assert "stopping 0" not in supervised.log

        supervised.no_longer("broken")
        supervised.process.send_signal(signal.SIGHUP)

        supervised.wait_for("ended 0")
        assert supervised.process_ids("ended") == supervised.process_ids("ready")[:1]
        assert supervised.end() == 0

    def test_a_slow_end_does_not_hold_up_the_next_reload(self, supervised):
        """ A process that still has a mail in hand keeps no seat """

        supervised.start()
        supervised.wait_for("ready 0")
        supervised.tell("busy")

        for times in (2, 3):
            supervised.process.send_signal(signal.SIGHUP)
            supervised.wait_for("ready 0", times)
            supervised.wait_for("stopping 0", times - 1)

        assert "ended 0" not in supervised.log
        supervised.no_longer("busy")
        assert supervised.end() == 0
        assert supervised.log.count("ended 0") == 3

# =============================================================================
class TestOthers:
    """ A process for other channels than mail, while it is needed """

    def test_a_process_for_others_is_started_when_it_is_asked_for(self, supervised):
        """ However often it is asked for, there is one, and it ends with the supervisor """

        supervised.start(2)
        supervised.wait_for("ready 0")
        supervised.wait_for("ready 1")
        assert "started 2" not in supervised.log

        supervised.tell("others")
        supervised.wait_for("ready 2")
        supervised.wait_for("asked 1", 3)

        assert supervised.log.count("started 2") == 1
        assert supervised.end() == 0
        assert "ended 2" in supervised.log

    def test_a_process_for_others_ends_when_it_has_nothing_to_do(self, supervised):
        """ Nothing takes its place, until it is asked for again """

        supervised.tell("others")
        supervised.start()
        supervised.wait_for("ready 1")
        supervised.no_longer("others")

        os.kill(supervised.process_ids("ready")[-1], signal.SIGTERM)
        supervised.wait_for("ended 1")
        supervised.process.send_signal(signal.SIGHUP)
        supervised.wait_for("ready 0", 2)
        assert supervised.log.count("started 1") == 1

        supervised.tell("others")
        supervised.wait_for("ready 1", 2)
        assert supervised.end() == 0

# =============================================================================
class TestEnd:
    """ No process remains """

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_the_mail_in_hand_is_waited_for(self, supervised, number):
        """ SIGTERM and SIGINT end the supervisor with status 0, when its processes have ended """

        supervised.start(2)
        supervised.wait_for("ready 0")
        supervised.wait_for("ready 1")
        supervised.tell("busy")
        supervised.process.send_signal(number)
        supervised.wait_for("stopping 0")
        supervised.wait_for("stopping 1")
        assert supervised.process.poll() is None

        supervised.no_longer("busy")

        assert supervised.process.wait(30) == 0
        assert sorted(supervised.log[-2:]) == ["ended 0", "ended 1"]

    def test_a_second_signal_waits_for_nothing(self, supervised):
        """ A second signal kills the processes, and the exit status says so """

        supervised.start()
        supervised.wait_for("ready 0")
        supervised.tell("busy")
        supervised.process.send_signal(signal.SIGTERM)
        supervised.wait_for("stopping 0")

        assert supervised.end() == 1
        assert "ended 0" not in supervised.log
        assert not is_running(supervised.process_ids("ready")[0])

    def test_a_signal_while_a_process_is_being_started(self, supervised):
        """ SIGTERM between the decision to start a process and its start ends that process """

        supervised.start(1, "signalled")

        assert supervised.process.wait(30) == 0

    def test_a_process_that_is_loading_ends_as_well(self, supervised):
        """ SIGTERM ends a process that is running the models """

        supervised.tell("loading")
        supervised.start()
        supervised.wait_for("started 0")

        assert supervised.end() == 0

    @pytest.mark.parametrize("moment", ["loading", "ready"])
    def test_a_killed_supervisor_leaves_no_process(self, supervised, moment):
        """ The processes of a killed supervisor end by themselves, also those that were loading """

        supervised.start()
        supervised.wait_for("ready 0")
        if moment == "loading":
            supervised.tell("loading")
            supervised.process.send_signal(signal.SIGHUP)
            supervised.wait_for("started 0", 2)

        supervised.kill()

        supervised.wait_for("orphan 0", 2 if moment == "loading" else 1)
        assert eventually(lambda: not any(map(is_running, supervised.process_ids("started"))))

    def test_nothing_is_started_where_nothing_is_installed(self, supervised):
        """ The supervisor ends with its processes when MailS3 is removed from the app """

        supervised.start()
        supervised.wait_for("ready 0")

        (supervised.program / "__main__.py").unlink()

        assert supervised.process.wait(30) == 0
        assert b"MailS3 has been removed from the app" in supervised.process.stdout.read()
        assert supervised.log[-1] == "ended 0"

# =============================================================================
class TestTerminal:
    """ A person starts it in a terminal """

    def test_ctrl_c_ends_it(self, supervised):
        """ Ctrl-C reaches the supervisor alone, which ends its processes """

        supervised.start_in_terminal()
        supervised.wait_for("ready 0")

        supervised.terminal.type(CTRL_C)

        assert supervised.process.wait(30) == 0
        assert supervised.log[-1] == "ended 0"
        assert "interrupted 0" not in supervised.log

    def test_a_closed_terminal_ends_it(self, supervised):
        """ The supervisor ends when its terminal is closed, though that is a SIGHUP """

        supervised.start_in_terminal()
        supervised.wait_for("ready 0")

        supervised.terminal.close()

        supervised.wait_for("ended 0")
        assert supervised.process.wait(30) is not None
        assert len(supervised.process_ids("started")) == 1

    def test_a_reload_in_a_terminal(self, supervised):
        """ SIGHUP reloads while the terminal is there """

        supervised.start_in_terminal()
        supervised.wait_for("ready 0")

        supervised.process.send_signal(signal.SIGHUP)

        supervised.wait_for("ready 0", 2)
        supervised.wait_for("ended 0")
        assert supervised.process.poll() is None
        assert supervised.end() == 0

# =============================================================================
class TestLink:
    """ A worker process and its supervisor """

    def test_a_supervisor_that_does_not_listen_blocks_no_process(self):
        """ A process goes on asking although its supervisor is stopped and reads nothing """

        ours, theirs = socket.socketpair()
        link = SupervisorLink(theirs.detach())
        asking = Thread(target = lambda: [link.ask_for_others() for _ in range(100000)],
                        daemon = True)
        asking.start()
        asking.join(30)

        assert not asking.is_alive()
        assert not link.is_gone()
        ours.close()

# END =========================================================================
