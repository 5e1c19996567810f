"""A client and a contact center in network namespaces, with a router between them that can stop forwarding.

    client 10.88.1.2 ── 10.88.1.1 router 10.88.2.1 ── 10.88.2.2 center

A router that does not forward is total loss without a word: links stay up, nothing is refused, addresses stay. Needs root.
"""

import contextlib
import ctypes
import os
import subprocess

CLIENT, ROUTER, CENTER = "cp-client", "cp-router", "cp-center"
CENTER_IP = "10.88.2.2"
_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000


def ip(*words, check=True):
    subprocess.run(["ip", *words], check=check, stderr=None if check else subprocess.DEVNULL)


def up():
    down()
    for ns in (CLIENT, ROUTER, CENTER):
        ip("netns", "add", ns)
        ip("-n", ns, "link", "set", "lo", "up")
    for ns, subnet in ((CLIENT, 1), (CENTER, 2)):
        ip("link", "add", "eth0", "netns", ns, "type", "veth", "peer", "name", f"to{subnet}", "netns", ROUTER)
        ip("-n", ROUTER, "addr", "add", f"10.88.{subnet}.1/24", "dev", f"to{subnet}")
        ip("-n", ROUTER, "link", "set", f"to{subnet}", "up")
        ip("-n", ns, "addr", "add", f"10.88.{subnet}.2/24", "dev", "eth0")
        ip("-n", ns, "link", "set", "eth0", "up")
        ip("-n", ns, "route", "add", "default", "via", f"10.88.{subnet}.1")
    forward(True)


def down():
    for ns in (CLIENT, ROUTER, CENTER):
        ip("netns", "del", ns, check=False)


def forward(on):
    """Whether packets get from one side to the other."""
    with inside(ROUTER), open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as switch:
        switch.write("1" if on else "0")


def client_address(host):
    """Gives the client another address, as a new lease or another network does: what it had is gone."""
    subprocess.run(["ip", "-n", CLIENT, "-batch", "-"], check=True, text=True, input=(
        "addr flush dev eth0 scope global\n"
        f"addr add 10.88.1.{host}/24 dev eth0\n"
        "route add default via 10.88.1.1\n"))


@contextlib.contextmanager
def inside(ns):
    """This thread is in the namespace meanwhile: sockets that it opens stay there."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{ns}", os.O_RDONLY)
    try:
        if _libc.setns(there, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {ns}")
        yield
    finally:
        _libc.setns(home, _CLONE_NEWNET)
        os.close(home)
        os.close(there)
