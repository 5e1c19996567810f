"""The programs of a run: the simulated center, a way to it that can be shut, the client, a TURN server."""

import json
import os
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from . import net

ROOT = Path(__file__).resolve().parent.parent.parent
BINARY = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/chatphone"


class Failed(Exception):
    """A run did not come to what it was to measure."""


def in_ns(ns, *command):
    return ["ip", "netns", "exec", ns, *map(str, command)]


def post(url, body):
    """Posts JSON inside the center's namespace."""
    with net.inside(net.CENTER):
        request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(request, timeout=5))


class Center:
    """The simulated contact center, at port 8081; clients come through a [`Door`]."""

    PORT = 8081

    def __init__(self, *flags, agent="tone:440"):
        self.command = in_ns(net.CENTER, BINARY, "simulate", "--listen", f"0.0.0.0:{self.PORT}", "--agent", agent, *flags)
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if not self.process.stdout.readline():
            raise Failed("the simulator did not start")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def say(self, chat_id, text):
        """The agent writes."""
        post(f"http://127.0.0.1:{self.PORT}/admin/chats/{chat_id}", {"do": "message", "text": text})

    close = kill


class Door:
    """A TCP relay at port 8080 in front of the center. Shut, it resets what goes through it and refuses what comes."""

    PORT = 8080

    def __init__(self):
        self.lock, self.streams, self.listener = threading.Lock(), set(), None
        self.open()

    def open(self):
        with net.inside(net.CENTER):
            self.listener = socket.create_server((net.CENTER_IP, self.PORT))
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def shut(self):
        listener, self.listener = self.listener, None
        if listener:
            # Without this the accepting thread keeps it open.
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self.lock:
            for stream in self.streams:
                try:
                    # A reset, once the thread that reads from it has let go.
                    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    stream.shutdown(socket.SHUT_RD)
                    stream.close()
                except OSError:
                    pass
            self.streams.clear()

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                with net.inside(net.CENTER):
                    center = socket.create_connection(("127.0.0.1", Center.PORT))
            except OSError:
                client.close()
                continue
            with self.lock:
                self.streams |= {client, center}
            for a, b in ((client, center), (center, client)):
                a.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._carry, args=(a, b), daemon=True).start()

    def _carry(self, a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            for stream in (a, b):
                stream.close()

    close = shut


class Client:
    """`chatphone chat --json` in the client's namespace, with a tone to send and a recording."""

    def __init__(self, folder, *flags, client_id="ladder", env=None, command="chat"):
        self.recording = Path(folder) / f"heard-{time.time_ns()}.wav"
        sound = [] if "--mic" in flags else ["--play", "tone:1000", "--speaker", "none"]
        # Not even the state of one run is another's.
        env = {**os.environ, "XDG_STATE_HOME": str(Path(folder) / "state"), "HOME": str(folder), **(env or {})}
        self.process = subprocess.Popen(
            in_ns(net.CLIENT, BINARY, command, "--json", "--url", f"http://{net.CENTER_IP}:{Door.PORT}", "--insecure-http",
                  "--app-id", "ladder", "--client-id", client_id, "--record", self.recording, *sound, *flags),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(Path(folder) / "client.log", "a", encoding="utf-8"),
            text=True, env=env)
        self.events, self.news, self.over = [], threading.Condition(), False
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            at = time.time()
            with self.news:
                self.events.append((at, json.loads(line)))
                self.news.notify_all()
        with self.news:
            self.over = True
            self.news.notify_all()

    def wait(self, names, since=0.0, within=30.0, where=lambda event: True):
        """The first event of these names since then: when it came, and itself."""
        names = {names} if isinstance(names, str) else set(names)
        deadline, seen = time.time() + within, 0
        with self.news:
            while True:
                for at, event in self.events[seen:]:
                    if at >= since and event["event"] in names and where(event):
                        return at, event
                seen = len(self.events)
                left = deadline - time.time()
                if left <= 0 or self.over:
                    last = [event["event"] for at, event in self.events if at >= since]
                    raise Failed(f"no {' or '.join(sorted(names))} within {within} s; there was: {', '.join(last) or 'nothing'}")
                self.news.wait(left)

    def type(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def call(self):
        """Waits for the agent, asks for a call and hears it. Gives the chat's id."""
        _, opened = self.wait("chat_opened")
        self.wait("party_joined", where=lambda e: e.get("type") == "internal")
        self.type("/call")
        self.wait("call_media_flowing")
        return opened["chat_id"]

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def close(self):
        """Ends the chat and the process."""
        if self.process.poll() is None:
            try:
                self.type("/quit")
                self.process.wait(10)
            except (OSError, subprocess.TimeoutExpired):
                self.process.kill()
        self.process.wait()


class Turn:
    """A coturn of its own in the center's namespace."""

    def __init__(self, folder, port, relays):
        self.folder = Path(tempfile.mkdtemp(dir=folder))
        self.command = in_ns(
            net.CENTER, "turnserver", "-n", "--listening-ip", net.CENTER_IP, "--relay-ip", net.CENTER_IP, "--listening-port",
            port, "--min-port", relays, "--max-port", relays + 99, "--lt-cred-mech", "--user", "u:p", "--realm", "ladder",
            "--no-tls", "--no-dtls", "--no-cli", "--cli-password", "x", "--userdb", self.folder / "db", "--pidfile",
            self.folder / "pid", "--log-file", "stdout", "--simple-log")
        self.url = f"turn:{net.CENTER_IP}:{port}"
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self):
        self.process.kill()
        self.process.wait()

    close = kill


class Devices:
    """A PulseAudio of its own, with a speaker that can be pulled out and a microphone that stays."""

    def __init__(self, folder):
        folder = Path(folder)
        self.env = {**os.environ, "XDG_RUNTIME_DIR": str(folder), "HOME": str(folder), "PULSE_SERVER": f"unix:{folder}/socket"}
        setup = folder / "setup.pa"
        setup.write_text(
            f"load-module module-native-protocol-unix auth-anonymous=1 socket={folder}/socket\n"
            "load-module module-null-source source_name=vmic rate=48000 channels=1\n"
            "set-default-source vmic\n")
        self.process = subprocess.Popen(["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "-F", str(setup)],
                                        env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not (folder / "socket").exists():
            time.sleep(0.05)
        self.plug()

    def pactl(self, *words):
        return subprocess.run(["pactl", *words], env=self.env, check=True, text=True, stdout=subprocess.PIPE).stdout.strip()

    def plug(self):
        self.module = self.pactl("load-module", "module-null-sink", "sink_name=ear", "rate=48000", "channels=1")
        self.pactl("set-default-sink", "ear")

    def unplug(self):
        self.pactl("unload-module", self.module)

    def heard(self, within=30):
        """When the speaker sounds next."""
        recorder = subprocess.Popen(["parec", "--device=ear.monitor", "--rate=48000", "--channels=1", "--format=s16le", "--raw",
                                     "--latency-msec=20"], env=self.env, stdout=subprocess.PIPE)
        try:
            deadline = time.time() + within
            while time.time() < deadline:
                block = recorder.stdout.read(960)
                if max(map(abs, struct.unpack(f"<{len(block) // 2}h", block)), default=0) > 500:
                    return time.time()
        finally:
            recorder.kill()
            recorder.wait()
        raise Failed(f"the speaker did not sound within {within} s")

    def close(self):
        self.process.terminate()
        self.process.wait()
