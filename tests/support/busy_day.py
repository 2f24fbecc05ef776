"""A short day of a humd with everything in it: what a log is like that was not made for one test.

Prompts that wait and are cancelled, tools, permissions asked and answered, sub-agents, observers,
signs of life, timings, errors, another humd, a door with clients, a worker that dies, humd killed
and started again. All over real sockets, into a real log.
"""

from signal import SIGKILL
from typing import Any

import anyio
from tests.support.bees import bee_named, identity_named
from tests.support.stack import Stack

from nest.bee import Bee
from thrum.tones import Tone

MODEL = "busy"
TURNS = 6
PEER = str(identity_named("peer", prefix="humd").hid)


async def say(who: Bee, chi: str, sid: str | None = None, **fields: Any) -> None:
    """Send a tone and wait until it is on disk, or refused."""
    slots = {key: fields.pop(key) for key in ("rid", "to", "wane", "client") if key in fields}
    await who.send(Tone(chi=chi, sid=sid, body=fields, **slots))
    await who.settled()


async def hear(bee: Bee, chi: str, sid: str | None = None) -> Tone:
    """The next tone of this kind; others are passed over."""
    async for tone in bee.inbox:
        if tone.chi == chi and sid in (None, tone.sid):
            return tone
    raise AssertionError("the inbox never ends")


async def live(stack: Stack) -> None:
    """Live through the day; everything that was said is on disk afterwards."""
    worker = bee_named(stack, "w", "worker", models=(MODEL,), chis=("drone", "chunk", "finish"))
    other = bee_named(stack, "x", "worker", models=(MODEL, "rare"))
    forager = bee_named(stack, "f", "forager", tools=({"name": "look"},), provides=("fs",))
    asker = bee_named(stack, "a", "asker")
    watcher = bee_named(stack, "o", "asker")
    mesh = bee_named(stack, "mesh", "ensemble")
    async with anyio.create_task_group() as tasks:
        for bee in (worker, forager, asker, watcher, mesh):
            await tasks.start(bee.run)
        for number in range(TURNS):
            await turn(number, asker, worker, forager, watcher)
        await waits(asker, worker)
        await abroad(mesh, worker)
        at_the_door(stack)
        async with anyio.create_task_group() as short:
            await short.start(other.run)
            await say(asker, "prompt", "rare", modelId="rare", content="?")
            await hear(other, "prompt", "rare")
            short.cancel_scope.cancel()
        await hear(asker, "error", "rare")
        await anyio.to_thread.run_sync(stack.restart, "humd", SIGKILL)
        await turn(TURNS, asker, worker, forager, watcher)
        await leave_open(asker, worker)
        tasks.cancel_scope.cancel()


async def turn(number: int, asker: Bee, worker: Bee, forager: Bee, watcher: Bee) -> None:
    """One turn with a tool, a permission, a sub-agent and an observer."""
    sid = f"turn-{number}"
    await say(watcher, "attach", sid, hearOnly=number % 2 == 0)
    await say(asker, "prompt", sid, modelId=MODEL, content="?", tools=[{"name": "own"}], sentAt=9)
    await hear(worker, "prompt", sid)
    await say(worker, "chunk", sid, chunkType="text_delta", delta="a", sentAt=5)
    for name, callee in (("look", forager), ("own", asker), ("none", worker)):
        call_id = f"{sid}-{name}"
        await say(worker, "tool-call", sid, callId=call_id, toolName=name, args={"n": number})
        if callee is worker:
            await hear(worker, "error", sid)
            continue
        await hear(callee, "tool-call", sid)
        await say(callee, "tool-result", sid, callId=call_id, output="x")
    await say(worker, "permission-ask", sid, askId=f"{sid}-p", tool="Bash")
    if number % 3:
        await say(asker, "release-permit", sid, askId=f"{sid}-p", decision="allow")
    await say(worker, "tendril-reach", sid, callId=f"{sid}-t", content="sub")
    if number % 4:
        await say(asker, "tendril-result", sid, callId=f"{sid}-t", output="y")
    await say(worker, "perf-mark", sid, mark="m", span={"name": "s", "ms": number})
    await say(worker, "drone", sid, wane=number)
    await say(asker, "curate", sid)
    end = ("finish", {"finishReason": "stop", "usage": {"inputTokens": number}})
    if number % 5 == 4:
        end = ("error", {"message": "no", "qualifier": "upstream.failed"})
    await say(worker, end[0], sid, **end[1])
    await hear(asker, end[0], sid)
    if number % 2:
        await say(watcher, "detach", sid)
    if number % 6 == 5:
        await say(asker, "cleanup", sid)


async def leave_open(asker: Bee, worker: Bee) -> None:
    """A turn that still runs when the day ends, with a call and an ask that nobody has answered."""
    await say(asker, "prompt", "open", modelId=MODEL, content="?")
    await hear(worker, "prompt", "open")
    await say(asker, "prompt", "open", modelId=MODEL, content="later")
    await say(worker, "tool-call", "open", callId="open-1", toolName="look", args={})
    await say(worker, "permission-ask", "open", askId="open-p", tool="Bash")


async def waits(asker: Bee, worker: Bee) -> None:
    """Prompts that wait for their turn; one gets it, two are cancelled."""
    for number in range(4):
        await say(asker, "prompt", "queue", rid=f"q-{number}", modelId=MODEL, content="?")
    await say(worker, "finish", "queue", finishReason="stop")
    await say(asker, "cancel", "queue")
    await say(worker, "finish", "queue", finishReason="cancelled")
    await say(asker, "prompt", "nobody", modelId="no such model", content="?")


async def abroad(mesh: Bee, worker: Bee) -> None:
    """Another humd prompts here, watches, and says how its clocks stand."""
    grants = ["prompt", "attach", "tool-call"]
    await say(mesh, "hello", client=PEER, hid=PEER, bee=["humd"], grants=grants)
    await say(mesh, "prompt", "far", client=PEER, modelId=MODEL, content="?")
    await hear(worker, "prompt", "far")
    await say(mesh, "attach", "turn-0", client=PEER)
    await say(worker, "chunk", "far", chunkType="text_delta", delta="z")
    await say(worker, "finish", "far", finishReason="stop")
    await say(mesh, "wane-sync", client=PEER, snapshot={"0123456789ab": 7})


def at_the_door(stack: Stack) -> None:
    """Two clients without a key of their own, one of which comes back."""
    hid = str(identity_named("door", prefix="fbee").hid)
    for number in range(2):
        with stack.client() as client:
            client.send(chi="hello", rid=f"h-{number}", hid=hid, hive="plain", bee=["asker"])
            client.send(chi="attach", rid=f"a-{number}", sid="turn-1", hearOnly=True)
            client.send(chi="prompt", rid=f"p-{number}", sid=f"door-{number}", modelId="none")
            assert client.read_until("error")["qualifier"] == "prompt.no-worker"
