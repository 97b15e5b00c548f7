"""
    The settings, their sample and their reference
"""

import configparser
import re

import pytest

from support.web2py import CLONE

from mails3.setting_forms import read_rates
from mails3.settings import RELAY_SETTINGS, SETTINGS, read_settings
from mails3.settings_file import complain_once, read_file

SAMPLE = CLONE / "private" / "mails3.ini"
REFERENCE = CLONE / "private" / "docs" / "operating.md"

# -----------------------------------------------------------------------------
def read(**given):
    """ The settings, and what was complained about """

    complaints = []
    return read_settings(given, complaints.append), complaints

# =============================================================================
class TestSettings:
    """ A mistake costs its setting, not the mail """

    def test_every_setting_has_a_default(self):
        """ Every setting has its default when nothing is set """

        settings, complaints = read()

        assert complaints == []
        for setting in SETTINGS:
            assert getattr(settings, setting.name) == setting.default

    def test_a_setting_is_read_by_its_kind(self):
        """ A setting is read from text and from a value of its type """

        settings, complaints = read(max_retries="9", fallback="off", in_doubt="hold",
                                    retry_limit=7, cafile=" /etc/ca.pem ")

        assert complaints == []
        assert settings.max_retries == 9
        assert settings.fallback is False
        assert settings.in_doubt == "hold"
        assert settings.retry_limit == 7
        assert settings.cafile == "/etc/ca.pem"

    def test_none_is_no_limit(self):
        """ "None" in a file is no limit, as in Eden's max_send_retries """

        assert read(max_retries="none")[0].max_retries is None
        assert read(max_retries=None)[0].max_retries is None

    def test_a_malformed_setting_is_reported(self):
        """ A malformed value is reported with its name, and the default is used """

        for name, text in (("max_size", "10 MB"), ("lifetime", "-1"), ("fallback", "maybe"),
                           ("in_doubt", "ask"), ("retry_limit", None), ("retry_limit", True)):
            settings, complaints = read(**{name: text})

            assert len(complaints) == 1 and name in complaints[0]
            assert getattr(settings, name) == getattr(read()[0], name)

    def test_an_unknown_setting_is_reported(self):
        """ An unknown name of a setting is reported """

        complaints = []
        read_settings({"max_retires": "3", "colour": "red"}, complaints.append,
                      "private/mails3.ini")

        assert complaints == ["Setting max_retires in private/mails3.ini is unknown: is "
                              "max_retries meant?",
                              "Setting colour in private/mails3.ini is unknown"]

    def test_a_mistake_is_logged_once_in_a_process(self, caplog):
        """ A mistake is logged once in a process, although each request reads the settings """

        for _ in range(3):
            complain_once("Setting max_retires is wrong once")

        assert caplog.text.count("is wrong once") == 1

    def test_a_run_is_never_shorter_than_a_message(self):
        """ The time of a run is longer than that of one message """

        settings, complaints = read(task_timeout="100", reply_timeout="60")

        assert settings.task_timeout > 4 * settings.reply_timeout
        assert "task_timeout" in complaints[0]

    def test_a_worker_does_not_count_as_hanging_over_one_message(self):
        """ A worker counts as hanging only after more than the time of one message """

        settings, complaints = read(neglect_timeout="60", reply_timeout="60")

        assert settings.neglect_timeout > 4 * settings.reply_timeout
        assert "neglect_timeout" in complaints[0]

# =============================================================================
class TestRates:
    """ The setting rate """

    @pytest.mark.parametrize("text, rates", [
        ("", []), ("30/minute", [(30, 60)]), (" 1 / DAY ", [(1, 86400)]),
        ("14/second,500/hour, 10000/day,", [(14, 1), (500, 3600), (10000, 86400)])])
    def test_rates_are_read(self, text, rates):
        """ One rate or several are read, with any spaces and in capitals too """

        settings, complaints = read(rate=text)

        assert complaints == []
        assert read_rates(settings.rate) == rates

    @pytest.mark.parametrize("text", ["30", "30/min", "30 per minute", "0/minute", "-1/hour",
                                      "1.5/second", "30/minute; 500/hour", "30/minute 500/hour",
                                      "30/2minutes", 30, None])
    def test_a_malformed_rate_is_reported(self, text):
        """ A malformed rate is reported with its name, and there is no limit """

        settings, (complaint,) = read(rate=text)

        assert "rate" in complaint
        assert settings.rate == ""

    def test_what_counts_is_recipients_or_messages(self):
        """ Recipients count, or messages if the site says so, and nothing else """

        assert read()[0].rate_counts == "recipients"
        assert read(rate_counts="messages")[0].rate_counts == "messages"
        assert "rate_counts" in read(rate_counts="bytes")[1][0]

    def test_verify_tls_is_warn_yes_or_no(self):
        """ What was yes or no before may still be written in any way, and nothing else is valid """

        assert read()[0].verify_tls == "warn"
        for given, meant in (("yes", "yes"), ("On", "yes"), (True, "yes"), ("no", "no"),
                             ("0", "no"), (False, "no"), (" warn ", "warn")):
            assert read(verify_tls=given) == (read(verify_tls=meant)[0], [])
        assert "verify_tls" in read(verify_tls="sometimes")[1][0]

# =============================================================================
class TestRelays:
    """ The sections of further relays """

    def test_each_relay_has_settings_of_its_own(self):
        """ What belongs to a relay is not inherited from the site, all else is """

        settings, complaints = read(rate="1/hour", lifetime="7",
                                    relays={"backup": {"server": "mx:587", "tls": "yes"}})
        relay, = settings.relays

        assert (relay.name, relay.server, relay.tls) == ("backup", "mx:587", True)
        assert (relay.rate, relay.lifetime) == ("", 7)
        assert complaints == []

    def test_a_mistake_names_the_relay_and_no_login(self):
        """ A mistake in a section is told with the name of the relay, without its login """

        _, complaints = read(relays={"backup": {"sever": "mx", "only_for": "example.org",
                                                "login": 5, "sessions": "0"}})

        assert len(complaints) == 4
        assert all("relay backup" in complaint for complaint in complaints)
        assert any("is server meant?" in complaint for complaint in complaints)

    def test_sections_are_read_in_their_order(self, tmp_path):
        """ The file's order is the order of the relays, and names keep their form """

        path = tmp_path / "mails3.ini"
        path.write_text("[mails3]\nrate = 5/hour\n[relay Zoe]\nserver = z\n"
                        "[relay adam]\nserver = a\n")

        settings, _ = read(**read_file(str(path), None))

        assert [relay.name for relay in settings.relays] == ["Zoe", "adam"]

    @pytest.mark.parametrize("section", ["relay ", "relay first", "relay a b", "Relay b", "relays",
                                         "relay", "relay %s" % ("x" * 41)])
    def test_a_section_that_is_no_relay_is_reported(self, tmp_path, section):
        """ A section that is neither [mails3] nor a relay with a usable name is reported """

        complaints = []
        path = tmp_path / "mails3.ini"
        path.write_text("[mails3]\nmax_size = 5\n[%s]\nserver = a\n" % section)

        assert read_file(str(path), complaints.append) == {"max_size": "5"}
        assert section.strip() in complaints[0]

    @pytest.mark.parametrize("name, value", [("verify_tls", "strict"), ("only_for", "example.org")])
    def test_a_relay_with_such_a_mistake_is_not_used(self, name, value):
        """ A malformed value is not replaced by its default if that would trust or send more """

        settings, complaints = read(relays={"b": {"server": "mx", name: value}})

        assert name in settings.relays[0].mistake
        assert complaints[0].endswith("this mail server is not used")
        assert settings.mistake is None

    def test_a_relay_is_trusted_no_more_than_the_site_trusts(self):
        """ What the site asks of certificates holds for a further relay as well, by default """

        settings, _ = read(verify_tls="yes", cafile="/ca.pem",
                           relays={"b": {"server": "mx"}, "c": {"server": "m", "verify_tls": "no"}})

        assert [relay.verify_tls for relay in settings.relays] == ["yes", "no"]
        assert settings.relays[0].cafile == "/ca.pem"

# =============================================================================
class TestSample:
    """ private/mails3.ini """

    def test_the_sample_names_every_setting_with_its_default(self):
        """ The sample file names all settings with their defaults, and no other """

        text = re.sub(r"(?m)^;(\w+ =|\[)", r"\1", SAMPLE.read_text(encoding="utf-8"))
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(text)

        assert read(**parser["mails3"]) == read()
        assert list(parser["mails3"]) == [setting.name for setting in SETTINGS]
        assert list(parser["relay backup"]) == [setting.name for setting in RELAY_SETTINGS]
        unset, complaints = read(relays={"backup": {}})
        assert read(relays={"backup": parser["relay backup"]}) == (unset, complaints)

    def test_the_reference_names_every_setting(self):
        """ The reference names all settings with default, unit and meaning, and no other """

        words = {"True": "yes", "False": "no", "None": "none", "": "(empty)"}
        table = ["| `%s` | %s | %s | %s |" %
                 (setting.name, words.get(str(setting.default), setting.default),
                  setting.unit, setting.meaning) for setting in (*RELAY_SETTINGS, *SETTINGS)]

        text = REFERENCE.read_text(encoding="utf-8")
        assert [line for part in text.split("|---|---|---|---|\n")[1:]
                for line in part.partition("\n\n")[0].strip().splitlines()] == table

    def test_the_sample_sets_nothing(self):
        """ The unchanged sample file leaves all defaults """

        assert read_file(str(SAMPLE), None) == {}

    def test_a_broken_file_is_a_mistake(self, tmp_path):
        """ A broken file is reported, and is no file without settings: it may say whom to trust """

        complaints = []
        broken = tmp_path / "mails3.ini"
        broken.write_text("max_size = 5\n")

        given = read_file(str(broken), complaints.append)

        assert list(given) == ["mistake"]
        assert read(**given)[0].mistake == given["mistake"]
        assert "mails3.ini" in complaints[0] and "line 1" in complaints[0]
        assert read_file(str(tmp_path / "none.ini"), complaints.append) == {}
        assert len(complaints) == 1

    def test_a_byte_order_mark_costs_no_setting(self, tmp_path):
        """ A file with a byte order mark is read """

        edited = tmp_path / "mails3.ini"
        edited.write_text("[mails3]\nmax_size = 5\n", encoding="utf-8-sig")

        assert read_file(str(edited), None) == {"max_size": "5"}

    def test_an_unreadable_file_is_reported(self, tmp_path):
        """ A file that can't be opened is reported """

        complaints = []
        folder = tmp_path / "mails3.ini"
        folder.mkdir() # root may read every file

        assert list(read_file(str(folder), complaints.append)) == ["mistake"]
        assert "mails3.ini" in complaints[0]

# END =========================================================================
