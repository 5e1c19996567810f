"""Headless Chromium by way of chromedriver (W3C WebDriver), for the figures that set us beside a browser."""

import contextlib
import functools
import http.server
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream", "--autoplay-policy=no-user-gesture-required",
]


class Browser:
    """Headless Chromium, for as long as its `with` lasts.

    `run` is what a command is begun with (`ip netns exec NAME`), `inside` makes a context in which sockets are opened there.
    """

    def __init__(self, run=(), inside=contextlib.nullcontext, arguments=()):
        self.run, self.inside, self.arguments = list(run), inside, list(arguments)

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.start(stack)
            self.begun = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.begun.close()

    def start(self, stack):
        """What is begun here is ended by `stack`, also where the rest fails."""
        profile = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        with self.inside(), socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        driver = subprocess.Popen([*self.run, "chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL)
        stack.callback(end, driver)
        self.url = f"http://127.0.0.1:{port}"
        for _ in range(100):
            try:
                with self.inside():
                    urllib.request.urlopen(self.url + "/status", timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        else:
            sys.exit("chromedriver does not answer")
        arguments = [*ARGUMENTS, f"--user-data-dir={profile}", *self.arguments]
        options = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": arguments}}}}
        self.session = "/session/" + self.post("/session", options)["sessionId"]
        stack.callback(self.quit)
        self.post(self.session + "/timeouts", {"script": 180_000})

    def post(self, path, body):
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with self.inside(), urllib.request.urlopen(request, timeout=200) as answer:
            return json.load(answer)["value"]

    def go(self, url):
        self.post(self.session + "/url", {"url": url})

    def reload(self):
        self.post(self.session + "/refresh", {})

    def quit(self):
        request = urllib.request.Request(self.url + self.session, method="DELETE")
        # A driver that is gone has no browser either.
        with contextlib.suppress(OSError), self.inside():
            urllib.request.urlopen(request, timeout=20).close()


class Pages:
    """The files of a folder, over HTTP on a port of this machine, for as long as its `with` lasts."""

    def __init__(self, folder):
        handler = functools.partial(QuietFiles, directory=str(folder))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}"

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class QuietFiles(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def end(process):
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
