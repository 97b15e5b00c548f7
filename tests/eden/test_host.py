"""
    The Edens that the other tests are run on
"""

import os
from pathlib import Path

import pytest

from host import eventually

from .host import ADMIN
from .visitor import EdenVisitor

# Nobody has to confirm anything
CLOSED = {"registration_requires_verification": False,
          "registration_requires_approval": False,
          }

RUNS = "SELECT times_run FROM scheduler_task WHERE function_name = 'maintenance'"

# =============================================================================
class TestStock:
    """ A stock Eden works like one that somebody runs """

    def test_the_front_page_is_served(self, stock):
        """ To whom does not log in """

        visitor = EdenVisitor(stock)

        visitor.visit("default/index")

        assert visitor.page.select("a[href*='/user/login']") and not visitor.logged_in
        assert stock.tickets() == []

    def test_a_visitor_registers(self, stock):
        """ Where nobody has to confirm, who registers can log in """

        stock.configure(auth=CLOSED)
        visitor = EdenVisitor(stock)

        visitor.register("anne@example.org")

        assert "Registration successful" in visitor.told, visitor.reads
        visitor.log_in("anne@example.org")
        assert visitor.logged_in, visitor.reads
        assert stock.tickets() == []

    def test_an_admin_logs_in(self, stock):
        """ The default template brings one """

        visitor = EdenVisitor(stock)

        visitor.log_in(*ADMIN)
        visitor.visit("admin/user")

        assert visitor.logged_in and visitor.url.endswith("/admin/user"), visitor.reads

    def test_a_worker_runs_a_task(self, stock):
        """ One of those which the first run has scheduled """

        worker = stock.work()

        # Others are due before it, each in a process that loads Eden
        assert eventually(lambda: stock.sql(RUNS) == [(1,)], 120)
        stock.stop(worker)

    def test_nothing_is_left(self, eden, engine):
        """ Of a site that is closed, and nothing in the Eden that was given """

        given = Path(os.environ["EDEN_PATH"]).parents[1]
        before = listing(given)
        site = eden.site(engine)
        database = site.settings["database"].get("database")
        server = site.serve()
        EdenVisitor(site).visit("default/index")

        site.close()

        assert server.returncode is not None
        assert not site.folder.exists()
        assert listing(given) == before
        if engine == "postgres":
            with pytest.raises(Exception, match=database):
                site.sql("SELECT 1")

# -----------------------------------------------------------------------------
def listing(folder):
    """ All files of a folder, with their sizes and times """

    return {path: (path.lstat().st_size, path.lstat().st_mtime)
            for path in folder.rglob("*") if not path.is_dir()}

# END =========================================================================
