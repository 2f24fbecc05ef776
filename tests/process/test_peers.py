"""Other humds on a real bus: the ensemble is played by a bee of its role, with links of its own.

The narratives of several humds (humd 17), each from the side of the humd that runs here.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest
from anyio.abc import TaskGroup
from tests.support.bees import bee_named, identity_named
from tests.support.stack import Stack

from nest.bee import Bee
from thrum.ids import sigil
from thrum.tones import Tone

pytestmark = [pytest.mark.process, pytest.mark.timeout(60)]

FAR = str(identity_named("far", prefix="humd").hid)
NEAR = str(identity_named("near", prefix="humd").hid)
NEST = "scout"
READ = {"name": "fs_read", "description": "", "inputSchema": {"type": "object"}}
GRANTS = ["prompt", "attach", "tool-call", "cancel"]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    settings = {"nest": {"default": NEST}, "humd": {"metricsAddr": ""}}
    with Stack(services=("thehum", "humd"), settings=settings) as stack:
        stack.wait_for(lambda: "humd.ready" in stack.log("humd"), "a humd that has replayed")
        yield stack


@pytest.fixture
async def tasks() -> AsyncIterator[TaskGroup]:
    async with anyio.create_task_group() as tasks:
        yield tasks
        tasks.cancel_scope.cancel()


async def joined(stack: Stack, tasks: TaskGroup, name: str, *roles: str, **hello: Any) -> Bee:
    bee = bee_named(stack, name, *roles, **hello)
    await tasks.start(bee.run)
    return bee


async def heard(bee: Bee, chi: str, sid: str | None = None) -> Tone:
    """The next tone of this chi (and sid); an error in its place fails the test."""
    async for tone in bee.inbox:
        if tone.chi == chi and sid in (None, tone.sid):
            return tone
        assert tone.chi != "error", tone
    raise AssertionError("an inbox never ends")


async def refused(bee: Bee) -> Tone:
    """The next error."""
    async for tone in bee.inbox:
        if tone.chi == "error":
            return tone
    raise AssertionError("an inbox never ends")


async def say(bee: Bee, chi: str, sid: str | None = None, **body: Any) -> None:
    await bee.send(Tone(chi=chi, sid=sid, body=body))


async def hello(bee: Bee, sid: str, **slots: Any) -> None:
    """Answer a prompt."""
    text = {"chunkType": "text_delta", "delta": "HELLO"}
    await bee.send(Tone(chi="chunk", sid=sid, body=text, **slots))
    await bee.send(Tone(chi="finish", sid=sid, body={"finishReason": "end_turn"}, **slots))


async def text(worker: Bee, sid: str, *deltas: str) -> None:
    """Say each as a chunk of its own; returns when the log has them."""
    for delta in deltas:
        await say(worker, "chunk", sid, chunkType="text_delta", delta=delta)
    await worker.settled()


class Mesh:
    """The bee that speaks for other humds."""

    def __init__(self, bee: Bee) -> None:
        self.bee = bee
        self._kept: list[Tone] = []

    async def link(self, hid: str, **about: Any) -> None:
        """The link to a humd is up."""
        await self.says(hid, "hello", **about)
        await self.bee.settled()

    async def unlink(self, hid: str) -> None:
        await self.says(hid, "bee-retract", scope="client", reason="disconnect")

    async def says(
        self,
        hid: str,
        chi: str,
        sid: str | None = None,
        *,
        to: str | None = None,
        wane: int | None = None,
        **body: Any,
    ) -> None:
        tone = Tone(chi=chi, sid=sid, to=to, wane=wane, sender=hid, body=body)
        tone.client = hid
        await self.bee.send(tone)

    async def heard(self, hid: str, chi: str, sid: str | None = None) -> Tone:
        """The next tone of this chi for a humd; the others are kept."""
        for kept in self._kept:
            if (kept.client, kept.chi) == (hid, chi) and sid in (None, kept.sid):
                self._kept.remove(kept)
                return kept
        async for tone in self.bee.inbox:
            if (tone.client, tone.chi) == (hid, chi) and sid in (None, tone.sid):
                return tone
            self._kept.append(tone)
        raise AssertionError("an inbox never ends")

    def kept(self, hid: str, chi: str, sid: str) -> list[Tone]:
        """What was passed over while another tone was waited for, in order."""
        return [tone for tone in self._kept if (tone.client, tone.chi, tone.sid) == (hid, chi, sid)]


@pytest.fixture
async def mesh(stack: Stack, tasks: TaskGroup) -> Mesh:
    return Mesh(await joined(stack, tasks, "mesh", "ensemble"))


async def test_ping_pong(stack: Stack, tasks: TaskGroup, mesh: Mesh) -> None:
    await mesh.link(FAR)
    asker = await joined(stack, tasks, "pinger", "asker")

    await asker.send(Tone(chi="perf-mark", rid="ping", to=FAR, body={"mark": "x"}))

    mark = await mesh.heard(FAR, "perf-mark")
    assert (mark.rid, mark.to, mark.body) == ("ping", FAR, {"mark": "x"})


async def test_roam_from_here(stack: Stack, tasks: TaskGroup, mesh: Mesh) -> None:
    """A prompt that names another humd; a link that goes down during the next one."""
    await mesh.link(FAR)
    asker = await joined(stack, tasks, "roamer", "asker")
    await asker.send(Tone(chi="prompt", sid="roam", to=FAR, body={"content": "hi"}))
    prompt = await mesh.heard(FAR, "prompt")
    await hello(mesh.bee, "roam", client=FAR)

    assert prompt.to == FAR
    assert (await heard(asker, "chunk")).body["delta"] == "HELLO"
    assert (await heard(asker, "finish")).body["finishReason"] == "end_turn"

    await asker.send(Tone(chi="prompt", sid="roam", to=FAR, body={"content": "more"}))
    await mesh.heard(FAR, "prompt")
    await mesh.unlink(FAR)
    tone = await refused(asker)
    assert (tone.body["qualifier"], tone.sid) == ("peer.lost", "roam")


async def test_roam_to_here(stack: Stack, tasks: TaskGroup, mesh: Mesh) -> None:
    """What goes back names the humd that asked."""
    await mesh.link(FAR, grants=GRANTS)
    worker = await joined(stack, tasks, "host", "worker", models=("roamed",))
    await mesh.says(FAR, "prompt", "guest", modelId="roamed", content="hi")
    await heard(worker, "prompt", "guest")
    await hello(worker, "guest")

    finish = await mesh.heard(FAR, "finish")

    assert (finish.to, finish.body["finishReason"]) == (FAR, "end_turn")
    assert finish.sender == (await mesh.heard(FAR, "chunk")).sender != FAR
    await mesh.says(FAR, "prompt", "unserved", modelId="nobody's", content="hi")
    error = await mesh.heard(FAR, "error", "unserved")
    assert error.body["qualifier"] == "overflow.model-unavailable"


async def test_overflow(stack: Stack, tasks: TaskGroup, mesh: Mesh) -> None:
    """The worker here takes one turn; the next goes to the humd with the most room."""
    await mesh.link(FAR, nests=[NEST], free_slots=0)
    asker = await joined(stack, tasks, "overflowing", "asker")
    worker = Bee(
        identity_named("small"),
        lambda: {"bee": ["worker"], "hive": "small", "models": ["small"], "capacity": 1},
        stack.paths.bus_endpoint,
        asker._metrics,
    )
    await tasks.start(worker.run)
    await say(asker, "prompt", "one", modelId="small", content="hi")
    await heard(worker, "prompt", "one")

    await mesh.link(NEAR, nests=["another kind"], free_slots=9)
    await say(asker, "prompt", "two", modelId="small", content="hi")
    assert (await mesh.heard(FAR, "prompt")).sid == "two"  # full, and yet the only one
    await mesh.link(NEAR, nests=[NEST], free_slots=1)
    await say(asker, "prompt", "three", modelId="small", content="hi")
    assert (await mesh.heard(NEAR, "prompt")).sid == "three"
    await hello(mesh.bee, "three", client=NEAR)
    assert (await heard(asker, "chunk", "three")).body["delta"] == "HELLO"
    assert (await heard(asker, "finish", "three")).body["finishReason"] == "end_turn"
    await mesh.says(FAR, "error", "two", qualifier="overflow.no-capacity", message="full here too")
    tone = await refused(asker)
    assert (tone.sid, tone.body["qualifier"]) == ("two", "overflow.no-capacity")

    for hid in (FAR, NEAR):
        await mesh.link(hid, nests=[NEST], headroom={"pressure": "refuse"})
    await say(asker, "prompt", "four", modelId="small", content="hi")
    tone = await refused(asker)
    assert (tone.sid, tone.body["qualifier"]) == ("four", "overflow.no-route")


async def test_co_pilot(stack: Stack, tasks: TaskGroup, mesh: Mesh) -> None:
    await mesh.link(FAR, grants=GRANTS)
    worker = await joined(stack, tasks, "pilot", "worker", models=("piloted",))
    driver = await joined(stack, tasks, "driver", "asker")
    await mesh.says(FAR, "attach", "pilot", hearOnly=True)
    await mesh.bee.settled()
    await say(driver, "prompt", "pilot", modelId="piloted", content="hi")
    await heard(worker, "prompt", "pilot")
    await hello(worker, "pilot")

    assert (await heard(driver, "chunk")).body["delta"] == "HELLO"
    assert (await mesh.heard(FAR, "chunk")).body["delta"] == "HELLO"
    assert (await mesh.heard(FAR, "finish")).to == FAR
    await mesh.says(FAR, "prompt", "pilot", modelId="piloted", content="mine")
    assert (await mesh.heard(FAR, "error")).body["qualifier"] == "hearOnly.denied"


async def test_eggs(stack: Stack, tasks: TaskGroup, mesh: Mesh) -> None:
    """A turn here for one humd, with its files on another: tools of files run there."""
    await mesh.link(FAR, grants=GRANTS)
    await mesh.link(NEAR, alias="workstation", tools=[READ])
    worker = await joined(stack, tasks, "cook", "worker", models=("eggs",))
    local = await joined(stack, tasks, "files", "forager", tools=(READ,), provides=("fs",))
    cwd = f"hum://{NEAR}/Users/op/auth"
    await mesh.says(FAR, "prompt", "eggs", modelId="eggs", content="hi", cwd=cwd)
    assert (await heard(worker, "prompt", "eggs")).body["cwd"] == "/Users/op/auth"

    await say(worker, "tool-call", "eggs", callId="c", toolName="fs_read", args={"path": "a"})

    call = await mesh.heard(NEAR, "tool-call")
    assert (call.to, call.body["args"]) == (NEAR, {"path": "a"})
    await mesh.says(NEAR, "tool-result", "eggs", callId="c", output="from there")
    assert (await heard(worker, "tool-result")).body["output"] == "from there"
    await say(worker, "tool-call", "eggs", callId="d", toolName="fs_read", args={})
    await mesh.heard(NEAR, "tool-call")
    await mesh.unlink(NEAR)
    tone = await refused(worker)
    assert (tone.body["qualifier"], tone.body["callId"]) == ("tool.forager-lost", "d")
    await say(worker, "tool-call", "eggs", callId="e", toolName="fs_read", args={})
    tone = await refused(worker)
    assert (tone.body["qualifier"], tone.body["callId"]) == ("peer.lost", "e")
    assert not len(local.inbox), "no file of this machine was read in its place"
    await hello(worker, "eggs")
    assert (await mesh.heard(FAR, "finish")).sid == "eggs"


async def test_a_place_by_alias_and_one_that_is_nowhere(
    stack: Stack, tasks: TaskGroup, mesh: Mesh
) -> None:
    await mesh.link(NEAR, alias="workstation", tools=[READ])
    worker = await joined(stack, tasks, "cook-2", "worker", models=("alias",))
    asker = await joined(stack, tasks, "placer", "asker")
    await say(asker, "prompt", "alias", modelId="alias", cwd="hum://workstation/x", content="")
    assert (await heard(worker, "prompt", "alias")).body["cwd"] == "/x"
    await say(worker, "finish", "alias", finishReason="end_turn")
    for cwd, qualifier in (("hum://nowhere/x", "peer.lost"), ("hum:///x", "tone.malformed")):
        await say(asker, "prompt", "alias", modelId="alias", cwd=cwd, content="")
        tone = await refused(asker)
        assert tone.body["qualifier"] == qualifier

    await say(asker, "prompt", "alias", modelId="alias", cwd="/plain", content="")

    assert (await heard(worker, "prompt", "alias")).body["cwd"] == "/plain"
    await say(worker, "tool-call", "alias", callId="c", toolName="fs_read", args={})
    tone = await refused(worker)
    assert tone.body["qualifier"] == "tool.unknown", "a plain cwd takes the pin away"


async def test_partition(stack: Stack, tasks: TaskGroup, mesh: Mesh) -> None:
    """Counters of both sides merge by the maximum when the link is back."""
    await mesh.link(FAR, grants=[])
    worker = await joined(stack, tasks, "counter", "worker", models=("counted",))
    asker = await joined(stack, tasks, "counting", "asker")

    await mesh.says(FAR, "wane-sync", snapshot={sigil("counted", NEST): 8})
    await mesh.bee.settled()

    await say(asker, "prompt", "counted", modelId="counted", content="hi")
    assert (await heard(worker, "prompt", "counted")).wane == 9


async def test_what_was_said_while_a_link_was_down_is_told_once_when_it_is_back(
    stack: Stack, tasks: TaskGroup, mesh: Mesh
) -> None:
    """Exactly the tones between the two wanes, in order, before newer ones; nothing meanwhile."""
    await mesh.link(FAR, grants=GRANTS)
    worker = await joined(stack, tasks, "cut", "worker", models=("cut",))
    driver = await joined(stack, tasks, "cutter", "asker")
    await mesh.says(FAR, "attach", "cut", hearOnly=True, wane=0)
    await mesh.bee.settled()
    await say(driver, "prompt", "cut", modelId="cut", content="hi")
    await heard(worker, "prompt", "cut")
    await text(worker, "cut", "0", "1")
    there = [await mesh.heard(FAR, "chunk", "cut") for _ in range(2)]

    await mesh.unlink(FAR)
    await mesh.bee.settled()
    await text(worker, "cut", "2", "3", "4")
    here = [await heard(driver, "chunk", "cut") for _ in range(5)]
    await mesh.link(FAR, grants=GRANTS)
    await text(worker, "cut", "5")
    await mesh.says(FAR, "attach", "cut", hearOnly=True, wane=there[-1].wane)
    await mesh.bee.settled()
    await say(worker, "finish", "cut", finishReason="end_turn")
    end = await mesh.heard(FAR, "finish", "cut")

    there += mesh.kept(FAR, "chunk", "cut")
    here.append(await heard(driver, "chunk", "cut"))
    assert [tone.body["delta"] for tone in there] == ["0", "1", "2", "3", "4", "5"]
    assert [tone.wane for tone in there] == [tone.wane for tone in here]
    assert end.wane == (await heard(driver, "finish", "cut")).wane
    await mesh.unlink(FAR)
    await mesh.bee.settled()


async def test_federation(stack: Stack, tasks: TaskGroup, mesh: Mesh) -> None:
    """What was not granted is refused, and leaves no record."""
    await mesh.link(FAR, grants=["attach"])
    worker = await joined(stack, tasks, "guarded", "worker", models=("guarded",))

    await mesh.says(FAR, "prompt", "no", modelId="guarded", content="hi")
    assert (await mesh.heard(FAR, "error")).body["qualifier"] == "federation.scope.denied"
    await mesh.says(FAR, "prompt", "no", to=NEAR, modelId="guarded", content="hi")
    assert (await mesh.heard(FAR, "error")).body["qualifier"] == "federation.scope.denied"
    liar = Tone(chi="prompt", sid="no", sender=NEAR, body={"modelId": "guarded"})
    liar.client = FAR
    await mesh.bee.send(liar)
    assert (await mesh.heard(FAR, "error")).body["qualifier"] == "auth.denied"

    assert [event["chi"] for event in stack.events() if event["sid"] == "no"] == []
    await mesh.link(FAR, grants=["prompt"])
    await mesh.says(FAR, "prompt", "yes", modelId="guarded", content="hi")
    assert (await heard(worker, "prompt")).sid == "yes"
