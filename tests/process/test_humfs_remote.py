"""humfs on another machine: two humds, joined by a bee that plays the ensemble on both (features
E10).

Both run here, so each has a root of its own; what a call reaches tells where it ran.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import pytest
from tests.support.bees import bee_named
from tests.support.stack import QUIET_SETTINGS, Stack

from nest.bee import Bee
from nest.identity import load_or_mint_identity
from thrum.tones import Tone

pytestmark = [pytest.mark.process, pytest.mark.timeout(90)]

TOOLS = ("humfs_read", "humfs_do_code", "humfs_do_noncode", "humfs_bash", "humfs_lease")
LISTED = [{"name": name, "description": "", "inputSchema": {"type": "object"}} for name in TOOLS]


class Machine(NamedTuple):
    """A humd with file tools of its own."""

    stack: Stack
    root: Path

    @property
    def hid(self) -> str:
        return str(load_or_mint_identity(self.stack.paths.humd_key, prefix="humd").hid)

    def calls(self) -> list[str]:
        """The ids of calls that are in its log."""
        return [
            event["body"]["callId"] for event in self.stack.events() if event["chi"] == "tool-call"
        ]


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[tuple[Machine, Machine]]:
    """Ours, and one with two humfs of the same root."""
    roots = [tmp_path / name for name in ("near", "far")]
    for root in roots:
        root.mkdir()
        (root / "where.txt").write_text(f"{root.name}\n")
    fs = [{"roots": [{"path": str(root)}]} for root in roots]
    fs[1]["instances"] = [{"name": "second"}]
    near, far = (
        Stack(services=("thehum", "humd", "humfs"), settings={**QUIET_SETTINGS, "fs": one})
        for one in fs
    )
    with near, far:
        far.start("humfs", "--instance", "second", instance="second")
        near.wait_bee("humfs")
        for hive in ("humfs", "humfs-second"):
            far.wait_bee(hive)
        yield Machine(near, roots[0]), Machine(far, roots[1])


@asynccontextmanager
async def linked(near: Machine, far: Machine) -> AsyncIterator[tuple[Bee, Bee]]:
    """An asker and a worker of `near`, while the two are linked."""
    async with anyio.create_task_group() as tasks:
        ends = [bee_named(one.stack, "mesh", "ensemble") for one in (near, far)]
        asker = bee_named(near.stack, "asker", "asker")
        worker = bee_named(near.stack, "worker", "worker", models=("m",))
        for bee in (*ends, asker, worker):
            await tasks.start(bee.run)
        await greet(ends[0], far.hid, grants=[], tools=LISTED)
        await greet(ends[1], near.hid, grants=["tool-call", "cancel"], allowTools=list(TOOLS))
        tasks.start_soon(relay, ends[0], ends[1], near.hid)
        tasks.start_soon(relay, ends[1], ends[0], far.hid)
        yield asker, worker
        tasks.cancel_scope.cancel()


async def greet(end: Bee, hid: str, **about: Any) -> None:
    """Say that the link to a humd is up."""
    tone = Tone(chi="hello", sender=hid, body=about)
    tone.client = hid
    await end.send(tone)
    await end.settled()


async def relay(source: Bee, target: Bee, sender: str) -> None:
    """Carry what one humd has for the other."""
    async for tone in source.inbox:
        if tone.client is not None:
            carried = Tone(
                chi=tone.chi, rid=tone.rid, sid=tone.sid, to=tone.to, sender=sender, body=tone.body
            )
            carried.client = sender
            await target.send(carried)


async def heard(bee: Bee, *chis: str) -> Tone:
    """The next tone of one of these."""
    async for tone in bee.inbox:
        if tone.chi in chis:
            return tone
    raise AssertionError("an inbox never ends")


async def called(worker: Bee, tool: str, call_id: str, **args: Any) -> dict[str, Any]:
    """The answer to a call of the worker."""
    body = {"callId": call_id, "toolName": tool, "args": args}
    await worker.send(Tone(chi="tool-call", sid="pinned", body=body))
    return (await heard(worker, "tool-result", "error")).body


async def test_a_pinned_conversation_works_on_the_files_of_the_other_machine(
    machines: tuple[Machine, Machine],
) -> None:
    near, far = machines
    async with linked(near, far) as (asker, worker):
        cwd = f"hum://{far.hid}{far.root}"
        body = {"modelId": "m", "content": "x", "cwd": cwd}
        await asker.send(Tone(chi="prompt", sid="pinned", body=body))
        assert (await heard(worker, "prompt")).body["cwd"] == str(far.root)

        read = await called(worker, "humfs_read", "read", file_path="where.txt")
        edit = {"file_path": f"{far.root}/where.txt", "word": "far", "replace": "edited"}
        edited = await called(worker, "humfs_do_noncode", "edit", **edit)
        outside = await called(worker, "humfs_read", "near", file_path=f"{near.root}/where.txt")

        assert "far" in read["output"]
        assert edited["isError"] is False
        assert (far.root / "where.txt").read_text() == "edited\n"
        assert (near.root / "where.txt").read_text() == "near\n"
        assert outside["qualifier"] == "tool.outside-roots"
        assert far.calls() == ["read", "edit", "near"], "each ran there, and once"

        far.stack.kill("humfs")
        far.stack.kill("second")
        lost = await called(worker, "humfs_read", "lost", file_path="where.txt")
        assert lost["qualifier"] in ("tool.forager-lost", "tool.unknown")
