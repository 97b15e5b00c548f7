"""
    The files of an app that a worker watches
"""

import importlib
import os
import sys
import time

from uuid import uuid4

import pytest

from support import web2py # noqa: F401 (mails3 can be imported)

from mails3.service.source_files import SourceFiles

HOUR_NS = 3600 * 10 ** 9

# -----------------------------------------------------------------------------
@pytest.fixture
def app(tmp_path):
    """ The folder of an app, its files written an hour ago """

    for name in ("models/db.py", "models/default/menu.py", "private/appconfig.ini",
                 "modules/helper.py", "controllers/default.py", "compiled/models.db.pyc"):
        write(tmp_path / name, hours=-1)
    return tmp_path

def write(path, text="", hours=0):
    """ Write a file, as if so many hours from now """

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if hours:
        then = time.time_ns() + hours * HOUR_NS
        os.utime(path, ns=(then, then))

def replace(path, text):
    """ Write a file as many editors do: another one takes its place, of the same age and size """

    then = path.stat().st_mtime_ns
    new = path.with_name("new-%s" % path.name)
    new.write_text(text)
    os.utime(new, ns=(then, then))
    new.replace(path)

def import_module(app):
    """ Import a module that nobody has imported before; its path """

    name = "module_%s" % uuid4().hex
    path = app / "modules" / (name + ".py")
    write(path, hours=-1)
    sys.path.insert(0, str(path.parent))
    try:
        importlib.import_module(name)
    finally:
        sys.path.remove(str(path.parent))
    return path

def have_changed(files):
    """ Whether a file is found changed, once nobody is writing any more """

    return files.have_changed() or files.have_changed()

# =============================================================================
class TestChanged:
    """ A change of what the process has read is found """

    @pytest.mark.parametrize("name", ["models/db.py", "models/default/menu.py",
                                      "private/appconfig.ini", "compiled/models.db.pyc"])
    @pytest.mark.parametrize("way", ["written", "replaced", "removed"])
    def test_a_file_that_was_changed_is_found(self, app, name, way):
        """ A model or configuration that was written, replaced or removed is found """

        files = SourceFiles(app)
        assert not have_changed(files)

        if way == "removed":
            (app / name).unlink()
        else:
            {"written": write, "replaced": replace}[way](app / name, "")

        assert have_changed(files)

    @pytest.mark.parametrize("name", ["models/menu.py", "models/other/form.py",
                                      "private/mails3.ini", "compiled/models.menu.pyc"])
    def test_a_new_file_is_found(self, app, name):
        """ A model or configuration that was added is found, whatever its age """

        files = SourceFiles(app)

        write(app / name, hours=-1)

        assert have_changed(files)

    def test_a_change_is_found_until_the_end_of_the_process(self, app):
        """ A change is found each time, so that nobody has to remember it """

        files = SourceFiles(app)
        write(app / "models/db.py", "changed")

        assert [have_changed(files) for _ in range(3)] == [True] * 3

    def test_a_file_that_is_being_written_is_not_read(self, app):
        """ A file that has changed since the last look is left alone until the next one """

        files = SourceFiles(app)
        seen = []
        for text in ("[sm", "[smtp]\n", "[smtp]\nserver = mail.example.org\n"):
            write(app / "private/appconfig.ini", text)
            seen.append(files.have_changed())

        assert seen == [False] * 3
        assert files.have_changed()

    def test_a_change_while_the_models_run_is_found(self, app):
        """ A module that was changed between its import and the first look is found """

        files = SourceFiles(app)
        path = import_module(app)

        write(path, "changed")

        assert have_changed(files)

    def test_a_module_is_watched_once_it_is_imported(self, app):
        """ A module that the process imports later is no change; a change of it is one """

        files = SourceFiles(app)
        path = import_module(app)
        assert not have_changed(files)

        write(path, "changed")

        assert have_changed(files)

    def test_an_app_may_be_a_link(self, app, tmp_path_factory):
        """ A module is watched although the app is a link, and the link leads to the module """

        link = tmp_path_factory.mktemp("applications") / "eden"
        link.symlink_to(app)
        files = SourceFiles(link)
        path = import_module(app)
        assert not have_changed(files)

        write(path, "changed")

        assert have_changed(files)

    def test_all_modules_can_be_watched(self, app):
        """ With has_all_modules, a module that is not imported is watched """

        few, all_modules = SourceFiles(app), SourceFiles(app, has_all_modules=True)
        write(app / "modules/package/broken.py", "changed")

        assert not have_changed(few)
        assert have_changed(all_modules)

# =============================================================================
class TestUnchanged:
    """ What is no source of the app's configuration restarts nobody """

    @pytest.mark.parametrize("name", [
        "private/app.log", "private/app.log.1", "private/worker.pid", "private/data.sqlite",
        "private/data.sqlite-journal", "private/data.db-wal", "private/data.sqlite3",
        "private/.appconfig.ini.swp", "private/appconfig.ini~", "private/#appconfig.ini#",
        "private/appconfig.ini.tmp", "private/app.lock", "private/uploads/photo.jpg",
        "models/.db.py.swp", "models/db.py~", "models/db.bak",
        "databases/storage.sqlite", "databases/sql.log", "sessions/127.0.0.1-1", "uploads/a.txt",
        "errors/127.0.0.1", "cache/a", "languages/de.py", "static/a.js", "views/default/index.html",
        "controllers/default.py"])
    def test_other_files_are_not_watched(self, app, name):
        """ Logs, databases, uploads, sessions, views and what an editor leaves are no change """

        write(app / name, hours=-1)
        files = SourceFiles(app)

        write(app / name, "changed")

        assert not have_changed(files)

    def test_a_file_from_the_future_is_no_change_without_end(self, app):
        """ A module whose time is ahead of the clock is no change when it is imported """

        files = SourceFiles(app)
        path = import_module(app)
        write(path, hours=1)

        assert not have_changed(files)

    def test_an_app_without_these_folders_has_not_changed(self, tmp_path):
        """ An app without folders has no changes """

        assert not have_changed(SourceFiles(tmp_path / "nothing"))

# END =========================================================================
