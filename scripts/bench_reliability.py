#!/usr/bin/env python3
"""The survival ladder: a call in progress, one fault after another, and how long until the customer has everything back.

usage: bench_reliability.py [--runs N] [ROW…]

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
from reliability.programs import BINARY, Center, Client, Devices, Door, Failed, Turn
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


ROWS = {
    "poll cut": (faults.poll_cut, {}),
    "server away for 8 s, session kept": (faults.server_restart, {}),
    "10 s of total loss": (faults.loss, {}),
    "address change": (faults.address_change, {}),
    "TURN servers gone, one comes back": (faults.turn_gone, {"turn": True}),
    "agent's browser reloaded": (faults.agent_reloaded, {"browser": True}),
    "speaker unplugged for 3 s": (faults.unplugged, {"devices": True}),
    "stopped for 30 s": (faults.suspended, {}),
    "kill -9, started again": (faults.killed, {}),
}


def measure(name, runs):
    """Every figure of a row, one a run. A new call for each: what one fault leaves behind is not the next one's."""
    fault, needs = ROWS[name]
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"the beginning of one of: {', '.join(ROWS)}")
    args = parser.parse_args()
    if os.geteuid() != 0 or not os.path.exists(BINARY):
        sys.exit("this needs root (network namespaces) and target/release/chatphone")
    chosen = [name for name in ROWS if not args.rows or any(name.startswith(row) for row in args.rows)]
    print("| fault | what is back | median | worst | of | steal |\n|---|---|---|---|---|---|")
    failed = 0
    for name in chosen:
        stolen, ticks = steal()
        figures, failures = measure(name, args.runs)
        failed += failures
        stolen, ticks = steal()[0] - stolen, steal()[1] - ticks
        for what, values in figures.items():
            print(f"| {name} | {what} | {statistics.median(values):.0f} ms | {max(values):.0f} ms | {len(values)} | "
                  f"{100 * stolen / max(ticks, 1):.1f} % |", flush=True)
        if failures:
            print(f"| {name} | **nothing, in {failures} of {args.runs} runs** | | | | |", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
