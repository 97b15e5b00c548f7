"""
    In which processes a thread goes on after a request
"""

from types import SimpleNamespace

import pytest

from gluon import current
from gluon.globals import Request

from mails3.hosts.web_request import web_request_of
from mails3.service.web_sender import can_run_threads

# What a web server tells of a request (PEP 3333), under the names that web2py gives it
VISIT = {"request_method": "POST", "wsgi_run_once": False}

# =============================================================================
class TestWebRequest:
    """ Only a visitor's request leaves its mail to a thread """

    @pytest.mark.parametrize("environ, is_expected", [
        (VISIT, True),
        ({**VISIT, "request_method": "GET"}, True),
        ({**VISIT, "wsgi_run_once": True}, False), # CGI
        ({}, False),                               # a script, a task, the shell
        ])
    def test_only_a_request_with_a_process_that_stays_is_one(self, environ, is_expected):
        """ A script, and CGI, whose process ends with its request, have no web request """

        current.request = Request(environ)

        assert (web_request_of(None) is not None) == is_expected

# =============================================================================
class TestUWSGI:
    """ uWSGI before 2.0.27 stops threads between two requests by default """

    @pytest.mark.parametrize("version, options, is_expected", [
        (b"2.0.21", {}, False),
        (b"2.0.26", {"http-socket": b"127.0.0.1:8000", "processes": b"4"}, False),
        (b"2.0.26", {"enable-threads": True}, True),
        (b"2.0.26", {"enable-threads": b"true"}, True),
        (b"2.0.26", {"enable-threads": b"false"}, False),
        (b"2.0.26", {"threads": b"2"}, True),
        (b"2.0.27", {}, True),
        (b"2.0.25.1", {}, False),
        (b"2.1-dev-1a2b", {}, True),
        ])
    def test_its_version_and_its_options_tell(self, version, options, is_expected):
        """ The version and the options of uWSGI say whether threads go on """

        assert can_run_threads(SimpleNamespace(version=version, opt=options)) == is_expected

    def test_other_servers_run_threads(self):
        """ Without uWSGI threads go on """

        assert can_run_threads()

# END =========================================================================
