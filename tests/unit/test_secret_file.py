"""
    Files with secrets
"""

import os
import threading

import pytest

from support.token_endpoint import secret_file
from support.web2py import CLONE # noqa: F401 (mails3 can be imported)

from mails3.oauth.secret_file import content_digest, locked, read_secret, replace_secret
from mails3.replies import ConfigurationFailure, RelayUnavailable

# =============================================================================
class TestReading:
    """ A secret is read """

    @pytest.mark.parametrize("text", ["s3cret", "s3cret\n", "\n  s3cret  \r\n\r\n",
                                      "\ufeffs3cret", "# ours\ns3cret\n# yours\n"])
    def test_a_secret_is_its_line(self, tmp_path, text):
        """ White space, comments and a byte order mark are not the secret """

        assert read_secret(secret_file(tmp_path, "secret", text), "x") == "s3cret"

    @pytest.mark.parametrize("mode, may", [(0o600, True), (0o400, True), (0o640, True),
                                           (0o440, True), (0o644, False), (0o660, False),
                                           (0o604, False), (0o602, False), (0o601, False)])
    def test_others_may_not_have_it(self, tmp_path, mode, may):
        """
            A file that others can read or write, or its group can write, is refused in words
            that say what to do; its group may read it
        """

        path = secret_file(tmp_path, "secret", "s3cret")
        os.chmod(path, mode)

        if may:
            assert read_secret(path, "oauth_x") == "s3cret"
            return
        with pytest.raises(ConfigurationFailure) as failure:
            read_secret(path, "oauth_x")
        assert "oauth_x" in str(failure.value)
        assert "chmod 600 %s" % path in str(failure.value)

    @pytest.mark.parametrize("text", ["", "\n", "# nothing", "one\ntwo", "schlüssel", "a\tb",
                                      "x" * 70000])
    def test_a_file_without_one_secret_is_refused(self, tmp_path, text):
        """ A file with no secret, two lines or odd characters is refused, not quoted """

        path = secret_file(tmp_path, "secret", text)

        with pytest.raises(ConfigurationFailure) as failure:
            read_secret(path, "oauth_x")
        assert path in str(failure.value)
        assert "schl" not in str(failure.value)

    def test_a_missing_file_is_named(self, tmp_path):
        """ A missing file, or a folder in its place, is named with its setting """

        for path in (tmp_path / "missing", tmp_path):
            with pytest.raises(ConfigurationFailure, match="oauth_x.*%s" % path.name):
                read_secret(str(path), "oauth_x")

# =============================================================================
class TestReplacing:
    """ A refresh token is replaced """

    def test_the_mode_stays(self, tmp_path):
        """ The file has the new secret, and the mode and owner of before; nothing else is left """

        path = secret_file(tmp_path, "secret", "one")
        os.chmod(path, 0o640)
        if os.geteuid() == 0:
            os.chown(path, 1234, 5678)

        replace_secret(path, "two")

        found = os.stat(path)
        assert read_secret(path, "x") == "two"
        assert found.st_mode & 0o777 == 0o640
        if os.geteuid() == 0:
            assert (found.st_uid, found.st_gid) == (1234, 5678)
        assert os.listdir(tmp_path) == ["secret"]

    def test_a_link_stays_a_link(self, tmp_path):
        """ Of a link, its target is replaced """

        secret_file(tmp_path, "secret", "one")
        (tmp_path / "link").symlink_to("secret")

        replace_secret(str(tmp_path / "link"), "two")

        assert (tmp_path / "link").is_symlink()
        assert read_secret(str(tmp_path / "secret"), "x") == "two"

    def test_a_failure_leaves_the_file(self, tmp_path, monkeypatch):
        """ A disk that is full costs neither the old secret nor a file that remains """

        path = secret_file(tmp_path, "secret", "one")

        def full(handle):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError):
            replace_secret(path, "two")
        assert read_secret(path, "x") == "one"
        assert os.listdir(tmp_path) == ["secret"]

    def test_what_we_write_is_not_a_change(self, tmp_path):
        """ The digest is that of what a person has written, however often it is replaced """

        path = secret_file(tmp_path, "secret", "one")
        before = content_digest(path)

        for secret in ("two", "three"):
            replace_secret(path, secret)
            assert content_digest(path) == before

        secret_file(tmp_path, "secret", "four")
        assert content_digest(path) != before
        assert "four" not in content_digest(path)

# =============================================================================
class TestLock:
    """ One process at a time """

    def test_another_thread_waits(self, tmp_path):
        """ While one has the lock, another one waits, and gets it when it is free """

        path, order = secret_file(tmp_path, "secret", "one"), []
        has_lock = threading.Event()

        def other():
            has_lock.set()
            with locked(path, 10):
                order.append("other")

        with locked(path, 10):
            thread = threading.Thread(target=other)
            thread.start()
            has_lock.wait(10)
            order.append("first")
        thread.join(10)

        assert order == ["first", "other"]
        assert os.listdir(tmp_path) == ["secret"]

    def test_a_wait_ends(self, tmp_path):
        """ Who waits for too long is told that the token is not to be had now """

        path, slept = secret_file(tmp_path, "secret", "one"), []
        with locked(path, 10):
            with pytest.raises(RelayUnavailable):
                with locked(path, 1, clock=lambda: sum(slept), sleep=slept.append):
                    pytest.fail("It has the lock as well")
        assert sum(slept) >= 1

# END =========================================================================
