"""
    Run the tests: python3 tests/run.py [arguments of pytest]

    Makes its own environment, from any directory; paths are relative to the
    clone (tests/unit/test_policy.py). Without paths: all tests. Unless a
    file is named, several run at a time (-n 0: one by one).

    Environment variables:

        WEB2PY_PATH                a checkout of web2py to run the sites with,
                                   rather than the web2py-gluon of PyPI
        EDEN_PATH                  a Sahana Eden that works, like
                                   web2py/applications/eden, to run tests/eden on;
                                   it is copied, and remains as it is
        EDEN_PYTHON                the Python that runs it (default: this one)
        POSTGRES_URI               servers to run the database tests on, where
        MYSQL_URI                  databases may be made; as pydal writes them:
                                   postgres:psycopg2://postgres:@127.0.0.1:5432/postgres
                                   mysql:pymysql://root:@127.0.0.1:3306/mysql
                                   are the defaults. The colon before @ must
                                   be there: without one, pydal takes the
                                   password for None and the scheduler dies
        MAIL_SERVERS_PATH          for servers that are not installed: a folder in
                                   which the Debian packages postfix, dovecot-core,
                                   exim4-daemon-light, opensmtpd and pgbouncer are
                                   unpacked, each in a folder of its name (.ci/run
                                   does that). The mail servers run for root only
        MAILS3_REQUIRE_MAIL_SERVERS 1: a mail server that is missing fails its tests,
                                   rather than having them skipped
        MAILS3_REQUIRE_BROWSER     1: without chromium and chromedriver, the tests
                                   in a browser fail, rather than being skipped
        MAILS3_REQUIRE_DATABASES   1: a server that is missing fails its tests,
                                   rather than having them skipped
"""

import os
import sys

import environment

environment.enter()

import pytest # noqa: E402

# Mostly the tests wait, for processes and for time-outs
WORKERS = 2 * (os.cpu_count() or 1)

# What says how tests are run, or shows them while they run
SERIAL = ("-n", "--numprocesses", "--dist", "--pdb", "--trace", "-s", "--capture")

# -----------------------------------------------------------------------------
def side_by_side(arguments):
    """
        Have all tests run side by side

        Args:
            arguments: of the command line

        Returns:
            list of further arguments, empty where the command line names a file
            or says itself how to run the tests
    """

    if any(argument.startswith(SERIAL) or ".py" in argument for argument in arguments):
        return []
    # A real Eden takes minutes to copy and to start: one worker has it
    return ["-n", str(WORKERS), "--dist", "loadgroup" if os.environ.get("EDEN_PATH") else
            "worksteal"]

os.chdir(environment.CLONE)
arguments = sys.argv[1:]
sys.exit(pytest.main(["--rootdir=.", "-o", "testpaths=tests"] + side_by_side(arguments) +
                     arguments))

# END =========================================================================
