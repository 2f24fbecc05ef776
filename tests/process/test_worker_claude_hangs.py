"""A `claude` that hangs, or takes more than it may (features D5, A8)."""

from pathlib import Path

import anyio
import pytest
from tests.support.claude import CALM, CGROUPS, dwellers, end_of, rig, text_of
from tests.support.trees import survivors

from nest.cells.limits import Limit, Limits
from workers.claude_cli.exchange import Patience

pytestmark = pytest.mark.process

HANGS = {
    "exit": CALM,
    "middle": Patience(silent_seconds=0.2),
    "busy": Patience(silent_seconds=0.2),
    "no-result": Patience(silent_seconds=0.2),
    "eof": Patience(first_seconds=0.7),
    "deaf": Patience(interrupt_seconds=0.1),
}
LIMITS = Limits(memory_bytes=100 * 1024 * 1024, files=40, processes=30, cpu_seconds=1)


@pytest.mark.parametrize("kind", HANGS)
async def test_no_hang_outlasts_its_bound_and_the_next_prompt_works(home: Path, kind: str) -> None:
    """Features D5: each ends in finish or error, its tree is gone, the sid goes on."""
    async with rig(home, HANGS[kind]) as one:
        one.ask(f"hang {kind}", history=[])
        if kind == "deaf":
            await one.bus.wait(3, "chunk")
            one.bus.hear("cancel", "s")
        end = end_of(await one.answer())
        if kind == "exit":
            assert dwellers(home) != [], "it rests"
            one.bus.hear("cleanup", "s")
            while len(one.pool):
                await anyio.lowlevel.checkpoint()
        left = survivors(dwellers(home), seconds=0)
        after = await one.said("say next")

    if kind in ("exit", "deaf"):
        reason = "end_turn" if kind == "exit" else "cancelled"
        assert (end["chi"], end["finishReason"]) == ("finish", reason)
    else:
        assert (end["chi"], end["qualifier"], end["code"]) == ("error", "upstream.failed", 504)
    assert left == []
    assert (text_of(after), end_of(after)["chi"]) == ("next", "finish")


@pytest.mark.parametrize("limit", Limit)
async def test_an_error_names_the_limit_that_a_program_died_of(home: Path, limit: Limit) -> None:
    """Features A8; the limits are read from inside."""
    if limit is Limit.PROCESSES and "pids" not in CGROUPS.controllers:
        pytest.skip("root has no limit on processes here: " + CGROUPS.missing["pids"])
    async with rig(home, limits=LIMITS) as one:
        inside = text_of(await one.said("limits"))
        end = end_of(await one.said(f"eat {limit}"))
        after = await one.said("say next")

    assert inside == "104857600 40 30 1"
    assert (end["chi"], end["qualifier"]) == ("error", "upstream.failed")
    assert end["code"] == f"limit.{limit}"
    assert f"its limit of {LIMITS.most(limit)} ({limit})" in end["message"]
    assert text_of(after) == "next"
