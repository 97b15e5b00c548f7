"""
    Dropping MailS3 into an app, and taking it out again
"""

import os
import subprocess
import sys

import pytest

from conftest import CLONE
from host import Site

MINE = "# mine\n"

# =============================================================================
class App:
    """ An app, and the installer as a person runs it """

    def __init__(self, path):

        self.path = path

    # -------------------------------------------------------------------------
    def run(self, *words):
        """ python3 modules/mails3 ... APP; what it says, and its exit status """

        run = subprocess.run([sys.executable, str(CLONE / "modules" / "mails3"),
                              *words, str(self.path)],
                             capture_output = True,
                             encoding = "utf-8",
                             env = {**os.environ, "PYTHONPATH": os.environ.get("WEB2PY_PATH", "")},
                             )
        return run.stdout + run.stderr, run.returncode

    # -------------------------------------------------------------------------
    def command(self, *words):
        """ python3 APP/modules/mails3 ...; what it says, and its exit status """

        run = subprocess.run([sys.executable, str(self.path / "modules" / "mails3"), *words],
                             capture_output = True,
                             encoding = "utf-8",
                             env = {**os.environ, "PYTHONPATH": os.environ.get("WEB2PY_PATH", "")},
                             )
        return run.stdout + run.stderr, run.returncode

    # -------------------------------------------------------------------------
    def files(self):
        """ All files of the app with their contents, but for compiled ones """

        return {str(path.relative_to(self.path)): path.read_bytes()
                for path in sorted(self.path.rglob("*"))
                if path.is_file() and "__pycache__" not in path.parts}

    # -------------------------------------------------------------------------
    def write(self, name, text=MINE):
        """ Put a file into the app """

        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

# -----------------------------------------------------------------------------
@pytest.fixture
def app(tmp_path):
    """ The app of a site that does not run """

    return App(Site(tmp_path / "site").create().app_path)

# =============================================================================
class TestInstall:
    """ install copies what belongs into the app, and nothing else """

    def test_the_apps_own_files_are_left_alone(self, app):
        """ Files are added, none is changed """

        before = app.files()

        told, status = app.run("install")

        assert status == 0
        after = app.files()
        assert {name: after[name] for name in before} == before
        added = set(after).difference(before)
        assert {"modules/mails3/mail.py", "models/tasks_mail.py", "controllers/mails3.py",
                "views/mails3/overview.html", "private/mails3.ini"} < added
        assert all(name in told for name in added if name != "modules/mails3/INSTALLED")

    def test_it_can_be_run_again(self, app):
        """ For an upgrade: what was changed since in the project arrives """

        app.run("install")
        files = app.files()
        app.write("modules/mails3/mail.py", files["modules/mails3/mail.py"].decode())

        told, status = app.run("install")

        assert status == 0 and "replaced modules/mails3/mail.py" in told
        assert app.files() == files

    def test_settings_survive_an_upgrade(self, app):
        """ private/mails3.ini is the site's own """

        app.run("install")
        app.write("private/mails3.ini", "[mails3]\nmax_size = 5\n")

        assert app.run("install")[1] == 0

        assert (app.path / "private/mails3.ini").read_text() == "[mails3]\nmax_size = 5\n"

    @pytest.mark.parametrize("name", ["models/tasks_mail.py", "controllers/mails3.py",
                                      "modules/mails3/mail.py"])
    def test_a_file_that_is_not_ours_is_not_overwritten(self, app, name):
        """ It is named, and nothing is installed """

        app.write(name)
        before = app.files()

        told, status = app.run("install")

        assert status != 0 and name in told
        assert app.files() == before

    def test_an_edited_file_is_not_overwritten(self, app):
        """ What somebody has changed in ours is theirs now """

        app.run("install")
        app.write("models/tasks_mail.py")

        told, status = app.run("install")

        assert status != 0 and "models/tasks_mail.py" in told
        assert (app.path / "models/tasks_mail.py").read_text() == MINE

    @pytest.mark.parametrize("path", ["nowhere", "applications/empty", "elsewhere/app"])
    def test_what_is_no_app_is_refused(self, tmp_path, path):
        """ With a clear message, and without a traceback """

        app = App(tmp_path / path)
        if path != "nowhere":
            app.path.mkdir(parents=True)
        if path == "elsewhere/app":
            app.write("models/db.py")
            app.write("controllers/default.py")

        told, status = app.run("install")

        assert status != 0 and str(app.path) in told
        assert "Traceback" not in told

    def test_a_compiled_app_must_be_compiled_again(self, app):
        """ web2py ignores new models of a compiled app """

        app.write("compiled/models.db.pyc")

        assert "compiled" in app.run("install")[0]

    def test_it_can_be_linked_for_development(self, app):
        """ Links to the clone, and copies again when asked for """

        before = app.files()
        assert app.run("install", "--link")[1] == 0
        assert (app.path / "modules/mails3").resolve() == CLONE / "modules" / "mails3"
        assert (app.path / "models/tasks_mail.py").is_symlink()

        assert app.run("install")[1] == 0
        assert not (app.path / "modules/mails3").is_symlink()
        assert not (app.path / "models/tasks_mail.py").is_symlink()

        assert app.run("uninstall")[1] == 0
        assert set(without_databases(app.files())) == set(before)

# =============================================================================
class TestUninstall:
    """ uninstall gives the app back as it was """

    @pytest.mark.parametrize("link", [(), ("--link",)])
    def test_no_file_is_left_behind(self, app, link):
        """ Nor is the clone harmed that was linked to """

        before = app.files()
        app.run("install", *link)

        told, status = app.run("uninstall")

        assert status == 0, told
        assert without_databases(app.files()) == before
        assert not (app.path / "modules/mails3").exists()
        assert not (app.path / "views/mails3").exists()
        assert (CLONE / "modules" / "mails3" / "mail.py").exists()

    def test_what_somebody_has_put_among_our_files_is_left(self, app):
        """ And told of; neither is it linked over """

        app.run("install")
        app.write("modules/mails3/notes.txt")
        with open(app.path / "modules/mails3/policy.py", "a") as policy:
            policy.write(MINE)

        told, status = app.run("install", "--link")
        assert status != 0 and "notes.txt" in told and "policy.py" in told

        told, status = app.run("uninstall")
        assert status == 0 and "LEFT modules/mails3/notes.txt" in told
        assert sorted(path.name for path in (app.path / "modules/mails3").iterdir()) == \
            ["notes.txt", "policy.py"]

    def test_a_compiled_app_runs_with_it_and_without(self, tmp_path):
        """ Its compiled files of ours are removed as well """

        compiling = "from gluon.compileapp import compile_application\n" \
                    "print(compile_application(request.folder))"
        with Site(tmp_path / "site").create() as site:
            app = App(site.app_path)
            app.run("install")
            assert site.shell(compiling) == "None\n"
            assert site.shell("print(mail.relays()[0].read().status)") == "closed\n"

            told, status = app.run("uninstall")

            assert status == 0 and "removed compiled/models.tasks_mail.pyc" in told
            assert site.shell("print(type(mail).__name__)") == "Mail\n"

    def test_it_works_in_an_app_that_does_not_run(self, app):
        """ Its error is shown, and what could not be tidied up is told """

        before = app.files()
        app.run("install")
        broken = app.write("models/zz_broken.py", "1 / 0\n")

        told, status = app.run("uninstall")

        assert status == 0, told
        assert "ZeroDivisionError" in told and "could not be tidied up" in told
        broken.unlink()
        assert without_databases(app.files()) == before

    @pytest.mark.parametrize("missing", ["models/tasks_mail.py", "modules/mails3/mail.py",
                                         "modules/mails3/INSTALLED"])
    def test_what_is_half_installed_can_be_uninstalled(self, app, missing):
        """ Or half removed: whatever of it is there goes """

        before = app.files()
        app.run("install")
        (app.path / missing).unlink()

        told, status = app.run("uninstall")

        assert status == 0, told
        assert without_databases(app.files()) == before

    def test_an_upgrade_that_was_interrupted_can_be_uninstalled(self, app):
        """ Though its list of files is cut off, and files are of another version """

        before = app.files()
        app.run("install")
        with open(app.path / "modules/mails3/INSTALLED", "r+") as manifest:
            manifest.truncate(100)
        with open(app.path / "modules/mails3/policy.py", "a") as policy:
            policy.write("# of an older version\n")

        told, status = app.run("uninstall")

        assert status == 0, told
        assert without_databases(app.files()) == before

    def test_edited_settings_are_left(self, app):
        """ With a word: they are the site's own """

        app.run("install")
        app.write("private/mails3.ini", "[mails3]\nmax_size = 5\n")

        told, status = app.run("uninstall")

        assert status == 0 and "LEFT private/mails3.ini" in told
        assert (app.path / "private/mails3.ini").exists()

    def test_an_app_may_be_a_link(self, app, tmp_path):
        """ As an Eden mostly is: the link is what web2py knows """

        real = tmp_path / "elsewhere"
        app.path.rename(real)
        app.path.symlink_to(real)
        before = app.files()

        assert app.run("install")[1] == 0
        assert (real / "modules/mails3/mail.py").exists()
        told, status = app.run("uninstall")

        assert (status, "could not be tidied up" in told) == (0, False), told
        assert without_databases(app.files()) == before

    def test_nothing_is_left_in_the_scheduler_and_no_mail_is_lost(self, tmp_path):
        """ Unsent mail stays in msg_outbox, and is told of """

        with Site(tmp_path / "site").create() as site:
            app = App(site.app_path)
            app.run("install")
            app.write("private/mails3.ini", "[mails3]\nfallback = no\n")
            site.shell("mail.send('anne@example.org', 'News', 'There is news.')")

            told, status = app.run("uninstall")

            assert status == 0 and "1 mails are unsent" in told, told
            assert site.shell("print(db.executesql('SELECT COUNT(*) FROM scheduler_task'), "
                              "db.executesql('SELECT address, status FROM msg_outbox'))") == \
                "[(0,)] [('anne@example.org', 1)]\n"

            # And is sent when MailS3 comes back
            app.run("install")
            assert site.shell("print(mail.report().counts()['new'])") == "1\n"

    def test_what_is_not_installed_can_not_be_uninstalled(self, app):
        """ With a clear message """

        told, status = app.run("uninstall")

        assert status != 0 and "not installed" in told

# -----------------------------------------------------------------------------
def without_databases(files):
    """ But for what web2py itself makes when it runs """

    return {name: content for name, content in files.items()
            if not name.startswith(("databases/", "sessions/", "errors/", "cron/"))}

# END =========================================================================
