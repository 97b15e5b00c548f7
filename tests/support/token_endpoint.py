"""
    The token endpoint of a provider (RFC 6749), which insists on all of it

        with TokenEndpoint() as endpoint:
            endpoint.answer(503)
            ...
            endpoint.is_valid("token-1")

    Its refresh tokens may be used once: with the next one, the one before it is of no use.
"""

import itertools
import json
import threading

from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

SECRET, CLIENT = "s3cret~value", "a-client"

# =============================================================================
class TokenEndpoint:
    """ The endpoint, in threads of its own """

    def __init__(self, context=None, long_token=False):
        """
            Args:
                context: SSLContext for https; None = http
                long_token: its tokens are as long as Microsoft's
        """

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.endpoint, self.server.daemon_threads = self, True
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = "%s://127.0.0.1:%s" % ("https" if context else "http", self.server.server_port)
        self.token_url = self.url + "/token"

        self.lock = threading.Lock()
        self.numbers = itertools.count(1)
        self.padding = "x" * 2000 if long_token else ""
        self.refresh_token = "refresh-0" # the only one that is of use
        self.rotates = True
        self.life_s = 3600      # None = it does not tell
        self.requests = []      # the forms
        self.tokens = {}        # the valid ones: {token: user}
        self.user = "shelter@example.org" # for whom the tokens are
        self.told = []          # (code, headers, content)
        self.before_answer = lambda: None

    # -------------------------------------------------------------------------
    def __enter__(self):

        threading.Thread(target=self.server.serve_forever, args=[0.01], daemon=True).start()
        return self

    def __exit__(self, *exc_info):

        self.server.shutdown()
        self.server.server_close()

    # -------------------------------------------------------------------------
    def answer(self, code, content="", times=1, **headers):
        """ Tell what to answer next: content is a text, or a dict for JSON """

        text = content if isinstance(content, str) else json.dumps(content)
        self.told += [(code, headers, text)] * times

    def is_valid(self, user, token):
        """ Whether a token is good for a user, as a relay asks """

        return self.tokens.get(token) == user

    def expire(self):
        """ All tokens end now """

        self.tokens.clear()

    # -------------------------------------------------------------------------
    def grant(self, form):
        """ Answer a form (dict): tuple (code, headers, content) """

        def refused(error, description="It is wrong"):
            return 400, {}, json.dumps({"error": error, "error_description": description})

        with self.lock:
            self.requests.append(form)
            if self.told:
                return self.told.pop(0)
            if form.get("client_id") != CLIENT or form.get("client_secret", SECRET) != SECRET:
                return refused("invalid_client")
            kind, more = form.get("grant_type"), {}
            if kind == "refresh_token":
                if form.get("refresh_token") != self.refresh_token:
                    return refused("invalid_grant")
                if self.rotates:
                    more["refresh_token"] = self.refresh_token = "refresh-%s" % next(self.numbers)
            elif kind != "client_credentials":
                return refused("unsupported_grant_type")
            elif "client_secret" not in form:
                return refused("invalid_client")
            token = "token-%s%s" % (next(self.numbers), self.padding)
            self.tokens[token] = self.user
            if self.life_s is not None:
                more["expires_in"] = self.life_s
            return 200, {}, json.dumps(dict(more, access_token=token, token_type="Bearer"))

# =============================================================================
class Handler(BaseHTTPRequestHandler):
    """ One request """

    def do_POST(self):
        """ The token endpoint """

        assert self.headers["Content-Type"] == "application/x-www-form-urlencoded"
        text = self.rfile.read(int(self.headers["Content-Length"])).decode("ascii")
        form = {name: value for name, (value,) in parse_qs(text, strict_parsing=True).items()}
        answer = self.server.endpoint.grant(form)
        self.server.endpoint.before_answer()
        self.say(*answer)

    def do_GET(self):
        """ Whether a token is valid, as Dovecot asks (tokeninfo_url) """

        endpoint = self.server.endpoint
        token = parse_qs(urlsplit(self.path).query).get("access_token", [""])[0]
        if token in endpoint.tokens:
            self.say(200, {}, json.dumps({"email": endpoint.tokens[token], "expires_in": 3600,
                                          "scope": "mail", "username": endpoint.tokens[token]}))
        else:
            self.say(401, {}, json.dumps({"error": "invalid_token"}))

    def say(self, code, headers, content):
        """ Answer """

        self.send_response(code)
        for name, value in dict({"Content-Type": "application/json"}, **headers).items():
            self.send_header(name, value)
        body = content.encode("utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """ Be quiet """

    def handle(self):
        """ Be quiet about clients that go away """

        with suppress(OSError):
            super().handle()

# -----------------------------------------------------------------------------
def secret_file(folder, name, text):
    """ A file in a folder (Path) with a secret, for its owner only; its path (str) """

    path = folder / name
    path.write_text(text)
    path.chmod(0o600)
    return str(path)

# END =========================================================================
