"""One function a fault. Each makes it happen to a call that is up, and gives the milliseconds from its end until the customer
has what was hurt again: sound, or the next event of the chat."""

import time

from . import net
from .programs import Client, Failed

RESTORED = ("call_resumed", "call_restored")


def ms(since, at):
    return 1000 * (at - since)


def next_event(world, since):
    """The agent writes: how long after `since` the client has it."""
    text = f"still there? {time.time_ns()}"
    world.center.say(world.chat_id, text)
    return ms(since, world.client.wait("message", where=lambda e: e.get("text") == text)[0])


def poll_cut(world):
    """Every connection is reset, the server can be reached again at once."""
    world.door.shut()
    world.door.open()
    return {"event": next_event(world, time.time())}


def server_restart(world):
    """The server refuses connections for 8 s, and knows the session afterwards."""
    world.door.shut()
    time.sleep(8)
    world.door.open()
    return {"event": next_event(world, time.time())}


def loss(world):
    """No packet gets through for 10 s."""
    begun = time.time()
    net.forward(False)
    time.sleep(10)
    net.forward(True)
    back = time.time()
    event = next_event(world, back)
    return {"audio": ms(back, world.client.wait(RESTORED, since=begun)[0]), "event": event}


def address_change(world):
    """The client's address goes and another one comes."""
    world.host = 3 if getattr(world, "host", 2) == 2 else 2
    begun = time.time()
    net.client_address(world.host)
    at, _ = world.client.wait(RESTORED, since=begun)
    return {"audio": ms(begun, at)}


def turn_gone(world):
    """The TURN servers die, and with them the relayed way; one of the two comes back, and knows nothing of it."""
    begun = time.time()
    for turn in world.turns:
        turn.kill()
    world.turns[1].start()
    at, _ = world.client.wait(RESTORED, since=begun, within=60)
    world.turns[0].start()
    return {"audio": ms(begun, at)}


def agent_reloaded(world):
    """The agent's browser loads its page again."""
    begun = time.time()
    world.browser.reload()
    at, _ = world.client.wait(RESTORED, since=begun, within=60)
    return {"audio": ms(begun, at)}


def suspended(world):
    """The process stands still for 30 s, as on a machine that sleeps; the far end does not."""
    world.client.pause()
    time.sleep(30)
    world.client.go_on()
    back = time.time()
    result = {"event": next_event(world, back)}
    result["audio"] = ms(back, world.client.wait(("call_resumed", "call_restored", "call_media_flowing"), since=back)[0])
    return result


def unplugged(world):
    """The only speaker is pulled out for 3 s. What is measured at a null sink holds the 2 s of silence that it renders at first."""
    world.devices.unplug()
    time.sleep(3)
    world.devices.plug()
    back = time.time()
    heard = world.devices.heard()
    in_use, _ = world.client.wait("sound", since=back, where=lambda e: "is back" in e["message"])
    return {"device": ms(back, in_use), "speaker": ms(back, heard)}


def killed(world):
    """`kill -9` in the call; started again at once."""
    world.client.process.kill()
    world.client.process.wait()
    begun = time.time()
    world.client = Client(world.folder, *world.flags, "--call-again")
    opened, event = world.client.wait("chat_opened")
    if not event["resumed"]:
        raise Failed("the chat was not taken up again")
    asked, _ = world.client.wait("call_requesting")
    heard, _ = world.client.wait("call_media_flowing")
    return {"chat": ms(begun, opened), "asked": ms(begun, asked), "audio": ms(begun, heard)}
