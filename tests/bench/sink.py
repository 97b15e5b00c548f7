"""
    An SMTP server for measuring: takes everything, keeps nothing, counts

        python3 tests/bench/sink.py [--latency S] [--certificate PEM] [--login]
                                    [--offer PIPELINING ...]

    Prints its port, then for each line on its input the counters as JSON, and
    starts counting anew.
"""

import argparse
import asyncio
import base64
import json
import socket
import ssl
import sys

# =============================================================================
class Sink:
    """ The server """

    def __init__(self, latency, context, login, offer):

        self.latency = latency # seconds before each reply
        self.context = context # for STARTTLS
        self.login = login
        self.offer = offer
        self.reset()

    # -------------------------------------------------------------------------
    def reset(self):

        self.counts = dict.fromkeys(("connections", "messages", "recipients", "bytes"), 0)

    # -------------------------------------------------------------------------
    async def serve(self, reader, writer):
        """ One connection: reads ahead, as replies are on their way """

        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.counts["connections"] += 1
        loop, due = asyncio.get_running_loop(), asyncio.Queue()

        async def answer():
            while True:
                moment, text = await due.get()
                wait = moment - loop.time()
                if wait > 0:
                    await asyncio.sleep(wait)
                writer.write(text)
                due.task_done()

        def say(text):
            due.put_nowait((loop.time() + self.latency, text.encode() + b"\r\n"))

        answering = loop.create_task(answer())
        try:
            await self.converse(reader, writer, say, due)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            answering.cancel()
            writer.close()

    # -------------------------------------------------------------------------
    async def converse(self, reader, writer, say, due):

        secure, recipients = False, 0
        say("220 sink.example.org ESMTP")
        while True:
            line = (await reader.readline()).decode("latin-1").strip()
            verb, _, argument = line.partition(" ")
            verb = verb.upper()
            if not line:
                return
            if verb == "EHLO":
                lines = ["sink.example.org", "8BITMIME", "SIZE 100000000", *self.offer]
                if self.context and not secure:
                    lines.append("STARTTLS")
                if self.login:
                    lines.append("AUTH PLAIN LOGIN")
                say("\r\n".join("250-" + each for each in lines[:-1]) +
                    "\r\n250 " * (len(lines) > 1) + lines[-1])
            elif verb == "STARTTLS":
                say("220 Go ahead")
                await due.join()
                await writer.start_tls(self.context)
                secure = True
            elif verb == "AUTH":
                if argument.upper() == "LOGIN":
                    say("334 " + base64.b64encode(b"Username:").decode())
                    await reader.readline()
                if len(argument.split()) == 1:
                    say("334 " + base64.b64encode(b"Password:").decode())
                    await reader.readline()
                say("235 2.7.0 Welcome")
            elif verb == "RCPT":
                recipients += 1
                say("250 2.1.5 OK")
            elif verb in ("DATA", "BDAT"):
                if verb == "DATA":
                    say("354 Go ahead")
                    size = len(await reader.readuntil(b"\r\n.\r\n"))
                else:
                    size = len(await reader.readexactly(int(argument.split()[0])))
                self.counts["messages"] += 1
                self.counts["recipients"] += recipients
                self.counts["bytes"] += size
                recipients = 0
                say("250 2.0.0 Taken")
            elif verb == "QUIT":
                say("221 2.0.0 Bye")
                await due.join()
                return
            else:
                say("250 2.0.0 OK")

# -----------------------------------------------------------------------------
async def main():

    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--latency", type=float, default=0)
    parser.add_argument("--certificate")
    parser.add_argument("--login", action="store_true")
    parser.add_argument("--offer", nargs="*", default=[])
    options = parser.parse_args()

    context = None
    if options.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate)
    sink = Sink(options.latency, context, options.login, options.offer)
    server = await asyncio.start_server(sink.serve, "127.0.0.1", 0, limit=1 << 26, backlog=200)
    print(server.sockets[0].getsockname()[1], flush=True)

    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(sink.counts), flush=True)
        sink.reset()

# -----------------------------------------------------------------------------
if __name__ == "__main__":
    asyncio.run(main())

# END =========================================================================
