"""
    A fake web API for SMS that a test can tell what to answer
"""

import socket
import threading

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

# =============================================================================
class FakeGateway:
    """
        An HTTP server that takes texts (POST: to, text), always on one port

        with FakeGateway() as gateway:
            gateway.status = 500
            ...
            gateway.texts # [(to, text), ...] that it has taken
            gateway.asked # the numbers that it was asked for
    """

    def __init__(self):

        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.url = "http://127.0.0.1:%d/send" % self.port
        self.server = None
        self.clear()

    # -------------------------------------------------------------------------
    def clear(self):
        """ Forgets what it was told, and what it has taken """

        self.status = 200
        self.answer = "OK"
        self.statuses = {}     # for certain numbers
        self.hangs_up_on = ()  # numbers
        self.silent = threading.Event()
        self.texts = []
        self.asked = []

    # -------------------------------------------------------------------------
    def start(self):

        gateway = self

        class Handler(BaseHTTPRequestHandler):

            def do_POST(self):
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                number = form["to"][0]
                gateway.asked.append(number)
                if number in gateway.hangs_up_on:
                    self.close_connection = True
                    return
                status = gateway.statuses.get(number, gateway.status)
                if status == 200:
                    gateway.texts.append((number, form["text"][0]))
                if status:
                    self.send_response(status)
                    self.end_headers()
                    self.wfile.write(gateway.answer.encode())
                else:
                    gateway.silent.wait(60)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    # -------------------------------------------------------------------------
    def stop(self):
        """ Refuses connections """

        self.silent.set()
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def __enter__(self):

        self.start()
        return self

    def __exit__(self, *error):

        self.stop()

# END =========================================================================
