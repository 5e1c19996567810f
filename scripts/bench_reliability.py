#!/usr/bin/env python3
"""The survival ladder: a call in progress, one fault after another, and how long until the customer has everything back.

usage: bench_reliability.py [--runs N] [ROW…]     without ROWs, the table also goes into docs/reliability.md

Client and center are processes of their own in network namespaces with a router between (root, Linux). Prints the rows of
docs/reliability.md: median and worst, and the share of the processors that the host took away meanwhile (steal).
Needs target/release/chatphone, and coturn, chromium and PulseAudio for the rows that speak of them.
"""

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
import time

from bench_setup import steal
from reliability import faults, net
from reliability.programs import BINARY, Center, Client, Devices, Door, Failed, ROOT, Turn
from webdriver import Browser


class World:
    """A call in progress, and all that it needs."""

    def __init__(self, folder, turn=False, browser=False, devices=False):
        self.folder, self.flags, self.turns = folder, [], []
        self.stack = contextlib.ExitStack()
        self.stack.callback(net.down)
        net.up()
        try:
            self.start(turn, browser, devices)
        except BaseException:
            self.stack.close()
            raise

    def start(self, turn, browser, devices):
        folder, center, env = self.folder, [], None
        if turn:
            self.turns = [Turn(folder, 3478, 50000), Turn(folder, 3480, 51000)]
            for server in self.turns:
                self.stack.callback(server.close)
            self.flags = ["--ice", "relay"]
            for server in self.turns:
                center += ["--ice-server", f"{server.url},u,p"]
        self.center = Center(*center, agent="desk" if browser else "tone:440")
        # As it is then: another one may have taken its place.
        self.stack.callback(lambda: self.center.close())
        self.door = Door()
        self.stack.callback(self.door.close)
        if browser:
            run = ["ip", "netns", "exec", net.CENTER]
            self.browser = self.stack.enter_context(Browser(run, lambda: net.inside(net.CENTER)))
            self.browser.go(f"http://127.0.0.1:{Center.PORT}/desk?name=Ada&tone=880&answer=auto&ring=no")
        if devices:
            self.devices = Devices(tempfile.mkdtemp(dir=folder))
            self.stack.callback(self.devices.close)
            self.flags += ["--mic", "default", "--no-aec", "--no-tones"]
            env = self.devices.env
        self.client = Client(folder, *self.flags, env=env)
        self.stack.callback(lambda: self.client.close())
        self.chat_id = self.client.call()

    def close(self):
        net.forward(True)
        self.stack.close()


# The beginning of a row names it; then the fault, what it needs beside a call, and what the customer sees and hears.
ROWS = {
    "poll cut": (faults.poll_cut, {}, "nothing: sound goes on, the next event comes"),
    "server away for 8 s, session kept": (faults.server_restart, {}, "“reconnecting”; sound goes on; what was typed goes out"),
    "10 s of total loss": (faults.loss, {}, "“interrupted” after 1 s of silence; then the same call"),
    "address change": (faults.address_change, {}, "“the network changed”; the call is asked for again by itself"),
    "TURN servers gone, one comes back": (faults.turn_gone, {"turn": True}, "“interrupted”; asked for again by the other server"),
    "agent's browser reloaded": (faults.agent_reloaded, {"browser": True}, "“interrupted”; asked for again, the agent's page answers"),
    "speaker unplugged for 3 s": (faults.unplugged, {"devices": True}, "“the speaker is gone”, then “back”"),
    "stopped for 30 s": (faults.suspended, {}, "“interrupted”, and the call is back"),
    "kill -9, started again": (faults.killed, {}, "the chat as it was; asked for again by itself with `--call-again`, else offered"),
}

BACK = {
    "event": "the next event of the chat",
    "audio": "sound",
    "device": "the device, in use",
    "speaker": "sound at PulseAudio's null sink, which begins with 2 s of silence",
    "chat": "the chat, taken up again",
    "asked": "REQUEST_CALL sent",
}


def measure(name, runs):
    """Every figure of a row, one a run. A new call for each: what one fault leaves behind is not the next one's."""
    fault, needs, _ = ROWS[name]
    figures, failures = {}, 0
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            world = World(folder, **needs)
            try:
                # In the middle of things, not in their beginning.
                time.sleep(2)
                for what, value in fault(world).items():
                    figures.setdefault(what, []).append(value)
            except Failed as error:
                failures += 1
                print(f"{name}: {error}", file=sys.stderr)
                log = os.path.join(folder, "client.log")
                print("".join(open(log, encoding="utf-8").readlines()[-8:]), file=sys.stderr)
            finally:
                world.close()
    return figures, failures


def write(rows):
    """Puts the table into docs/reliability.md, in place of the one before."""
    path = ROOT / "docs/reliability.md"
    before, _, rest = path.read_text().partition("| fault |")
    after = rest[rest.index("\n\n"):]
    path.write_text(before + "\n".join(rows) + after)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"the beginning of one of: {', '.join(ROWS)}")
    args = parser.parse_args()
    if os.geteuid() != 0 or not os.path.exists(BINARY):
        sys.exit("this needs root (network namespaces) and target/release/chatphone")
    chosen = [name for name in ROWS if not args.rows or any(name.startswith(row) for row in args.rows)]
    rows, failed = [], 0

    def say(line):
        rows.append(line)
        print(line, flush=True)

    say("| fault | what is back | median | worst | runs | what the customer sees | steal |")
    say("|---|---|---|---|---|---|---|")
    for name in chosen:
        stolen, ticks = steal()
        figures, failures = measure(name, args.runs)
        failed += failures
        stolen, ticks = steal()[0] - stolen, steal()[1] - ticks
        share, seen = 100 * stolen / max(ticks, 1), ROWS[name][2]
        for what, values in figures.items():
            say(f"| {name} | {BACK[what]} | {statistics.median(values):.0f} ms | {max(values):.0f} ms | {len(values)} | {seen} | "
                f"{share:.0f} % |")
        if failures:
            say(f"| {name} | **nothing, in {failures} of {args.runs} runs** | | | | | {share:.0f} % |")
    if not args.rows:
        write(rows)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
