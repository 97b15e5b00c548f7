"""
    Installation in an app, and its removal
"""

import shutil

import pytest

from support.app import MINE, App, without_databases
from support.site import Site
from support.web2py import CLONE

# -----------------------------------------------------------------------------
@pytest.fixture
def app(tmp_path):
    """ The app of a site that does not run """

    return App(Site(tmp_path / "site").create().app_path)

# =============================================================================
class TestInstall:
    """ install copies our files into the app and changes no other """

    def test_the_apps_own_files_are_left_alone(self, app):
        """ install adds files and changes none of the app's """

        before = app.files()

        told, status = app.run("install")

        assert status == 0
        after = app.files()
        assert {name: after[name] for name in before} == before
        added = set(after).difference(before)
        assert {"modules/mails3/mail.py", "models/tasks_mail.py", "controllers/mails3.py",
                "views/mails3/overview.html", "private/mails3.ini"} < added
        assert all(name in told for name in added if name != "modules/mails3/INSTALLED")

    def test_an_installation_can_be_upgraded(self, app):
        """ A second install brings files that have changed in the project """

        app.run("install")
        files = app.files()
        app.write("modules/mails3/mail.py", files["modules/mails3/mail.py"].decode())

        told, status = app.run("install")

        assert status == 0 and "replaced modules/mails3/mail.py" in told
        assert app.files() == files

    def test_a_worker_is_started_once(self, app):
        """ The first install names the command that starts a worker, an upgrade does not """

        first, again = app.run("install")[0], app.run("install")[0]

        command = "python3 %s work" % (app.path / "modules/mails3")
        assert command in first
        assert command not in again and "restart the web server and the worker" in again

    def test_settings_survive_an_upgrade(self, app):
        """ An upgrade does not change private/mails3.ini """

        app.run("install")
        app.write("private/mails3.ini", "[mails3]\nmax_size = 5\n")

        assert app.run("install")[1] == 0

        assert (app.path / "private/mails3.ini").read_text() == "[mails3]\nmax_size = 5\n"

    @pytest.mark.parametrize("name", ["models/tasks_mail.py", "controllers/mails3.py",
                                      "modules/mails3/mail.py"])
    def test_a_file_that_is_not_ours_is_not_overwritten(self, app, name):
        """ A foreign file in our place is named, and nothing is installed """

        app.write(name)
        before = app.files()

        told, status = app.run("install")

        assert status != 0 and name in told
        assert app.files() == before

    def test_an_edited_file_is_not_overwritten(self, app):
        """ A file of ours that was edited is not overwritten """

        app.run("install")
        app.write("models/tasks_mail.py")

        told, status = app.run("install")

        assert status != 0 and "models/tasks_mail.py" in told
        assert (app.path / "models/tasks_mail.py").read_text() == MINE

    @pytest.mark.parametrize("path", ["nowhere", "applications/empty", "elsewhere/app"])
    def test_a_folder_that_is_no_app_is_refused(self, tmp_path, path):
        """ A folder that is no app is refused with a message and no traceback """

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
        """
            install asks for a new compilation, because web2py ignores new models of a compiled
            app
        """

        app.write("compiled/models.db.pyc")

        assert "compiled" in app.run("install")[0]

    def test_an_installation_can_be_links(self, app):
        """ --link makes links to the clone, and a later install makes copies """

        before = app.files()
        assert app.run("install", "--link")[1] == 0
        assert (app.path / "modules/mails3").resolve() == CLONE / "modules" / "mails3"
        assert (app.path / "models/tasks_mail.py").is_symlink()

        assert app.run("install")[1] == 0
        assert not (app.path / "modules/mails3").is_symlink()
        assert not (app.path / "models/tasks_mail.py").is_symlink()

        assert app.run("uninstall")[1] == 0
        assert set(without_databases(app.files())) == set(before)

# -----------------------------------------------------------------------------
def test_a_command_runs_before_the_first_request(tmp_path):
    """ The command line works in an app that has never served a request """

    with Site(tmp_path / "site").create() as site:
        for name in ("databases", "sessions", "errors", "cache"):
            shutil.rmtree(site.app_path / name, ignore_errors=True)
        app = App(site.app_path)
        app.run("install")

        told, status = app.command("migrate")

        assert status == 0 and "Traceback" not in told, told

# =============================================================================
class TestUninstall:
    """ uninstall gives the app back unchanged """

    @pytest.mark.parametrize("link", [(), ("--link",)])
    def test_uninstall_leaves_no_file(self, app, link):
        """ uninstall leaves no file of ours in the app, and does not change a linked clone """

        before = app.files()
        app.run("install", *link)

        told, status = app.run("uninstall")

        assert status == 0, told
        assert without_databases(app.files()) == before
        assert not (app.path / "modules/mails3").exists()
        assert not (app.path / "views/mails3").exists()
        assert (CLONE / "modules" / "mails3" / "mail.py").exists()

    def test_foreign_files_among_ours_are_left(self, app):
        """ Added and edited files are left and named, and --link refuses to replace them """

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

    def test_a_compiled_app_works_after_uninstall(self, tmp_path):
        """
            uninstall removes our compiled files as well, and the compiled app runs before and
            after
        """

        compiling = "from gluon.compileapp import compile_application\n" \
                    "print(compile_application(request.folder))"
        with Site(tmp_path / "site").create() as site:
            app = App(site.app_path)
            app.run("install")
            assert site.shell(compiling) == "None\n"
            assert site.shell("print(mail.channel().breaker.read().status)") == "closed\n"

            told, status = app.run("uninstall")

            assert status == 0 and "removed compiled/models.tasks_mail.pyc" in told
            assert site.shell("print(type(mail).__name__)") == "Mail\n"

    def test_a_broken_app_can_be_uninstalled(self, app):
        """
            uninstall in an app that does not run shows its error and says what was not tidied
            up
        """

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
    def test_a_partial_installation_can_be_uninstalled(self, app, missing):
        """ uninstall removes a partial installation """

        before = app.files()
        app.run("install")
        (app.path / missing).unlink()

        told, status = app.run("uninstall")

        assert status == 0, told
        assert without_databases(app.files()) == before

    def test_an_interrupted_upgrade_can_be_uninstalled(self, app):
        """ uninstall works with a truncated list of files and files of two versions """

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
        """ uninstall leaves edited settings and says so """

        app.run("install")
        app.write("private/mails3.ini", "[mails3]\nmax_size = 5\n")

        told, status = app.run("uninstall")

        assert status == 0 and "LEFT private/mails3.ini" in told
        assert (app.path / "private/mails3.ini").exists()

    def test_an_app_may_be_a_link(self, app, tmp_path):
        """ install works in an app whose folder is a link """

        real = tmp_path / "elsewhere"
        app.path.rename(real)
        app.path.symlink_to(real)
        before = app.files()

        assert app.run("install")[1] == 0
        assert (real / "modules/mails3/mail.py").exists()
        told, status = app.run("uninstall")

        assert (status, "could not be tidied up" in told) == (0, False), told
        assert without_databases(app.files()) == before

    def test_uninstall_clears_the_scheduler_and_keeps_mail(self, tmp_path):
        """ uninstall removes our scheduler rows, keeps unsent mail in msg_outbox and reports it """

        with Site(tmp_path / "site").create() as site:
            app = App(site.app_path)
            app.run("install")
            app.write("private/mails3.ini", "[mails3]\nfallback = no\n")
            site.shell("mail.send('anne@example.org', 'News', 'There is news.')")

            told, status = app.run("uninstall")

            assert status == 0 and "1 mail is unsent" in told, told
            assert site.shell("print(db.executesql('SELECT COUNT(*) FROM scheduler_task'), "
                              "db.executesql('SELECT address, status FROM msg_outbox'))") == \
                "[(0,)] [('anne@example.org', 1)]\n"

            # And is sent when MailS3 comes back
            app.run("install")
            assert site.shell("print(mail.report().counts()['new'])") == "1\n"

    def test_uninstall_needs_an_installation(self, app):
        """ uninstall without an installation fails with a message """

        told, status = app.run("uninstall")

        assert status != 0 and "not installed" in told

# END =========================================================================
