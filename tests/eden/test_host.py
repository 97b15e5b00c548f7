"""
    The Edens of the other tests work without MailS3
"""

import os
from pathlib import Path

import pytest

from support.site import eventually

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

    def test_the_front_page_of_stock_eden_is_served(self, stock):
        """ A visitor without a login sees the front page """

        visitor = EdenVisitor(stock)

        visitor.visit("default/index")

        assert visitor.page.select("a[href*='/user/login']") and not visitor.logged_in
        assert stock.tickets() == []

    def test_a_visitor_of_stock_eden_registers(self, stock):
        """ A visitor who registers can log in where nobody has to confirm """

        stock.configure(auth=CLOSED)
        visitor = EdenVisitor(stock)

        visitor.register("anne@example.org")

        assert "Registration successful" in visitor.told, visitor.reads
        visitor.log_in("anne@example.org")
        assert visitor.logged_in, visitor.reads
        assert stock.tickets() == []

    def test_an_admin_of_stock_eden_logs_in(self, stock):
        """ The admin of the default template can log in """

        visitor = EdenVisitor(stock)

        visitor.log_in(*ADMIN)
        visitor.visit("admin/user")

        assert visitor.logged_in and visitor.url.endswith("/admin/user"), visitor.reads

    def test_a_worker_of_stock_eden_runs_a_task(self, stock):
        """ A worker runs a task that the first run has scheduled """

        worker = stock.work()

        # Others are due before it, each in a process that loads Eden
        assert eventually(lambda: stock.sql(RUNS) == [(1,)], 120)
        stock.stop(worker)

    def test_a_closed_eden_leaves_nothing(self, eden, engine):
        """ A closed site leaves nothing behind, and the given Eden has not changed """

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
