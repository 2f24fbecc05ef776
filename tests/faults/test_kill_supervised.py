"""`kill -9` of what supervisord runs, at random, while somebody asks; supervisord starts it again.

What `tests/faults/test_kill_everything.py` shows of services that a test restarts at once, here of
the stack as `hum up` starts it: with back-off, readiness and the listener. The seed names the
victims.
"""

import logging
import os
import random
import signal
from collections import Counter

import anyio
import orjson
import pytest
from tests.support.askers import DoorAsker
from tests.support.home import Home, new_home

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

VICTIMS = ("thehum", "humd", "thrumd", "front", "scout", "humfs", "sidecar")
SEED = 20_261_125
ROUNDS, ROUNDS_LONG = 2, 21
ANSWERS_BETWEEN = 3
END_SECONDS = 60.0

log = logging.getLogger(__name__)


def pid_of(home: Home, name: str) -> int | None:
    pid = home.service(name)["pid"]
    return int(pid) if pid else None


def strike(home: Home, name: str) -> None:
    """Kill a service; return once supervisord runs another."""
    before = pid_of(home, name)
    if before is not None:
        os.kill(before, signal.SIGKILL)
    while pid_of(home, name) in (None, before):
        pass  # each look is a program of its own, and takes its time


async def storm(home: Home, rounds: int, chance: random.Random) -> DoorAsker:
    """Ask, with a strike after every few answers; return once one is whole again."""
    door = DoorAsker(str(home.state / "thrum.sock"), "patient", lambda: None)
    order: list[str] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(door.run)

        async def ask(count: int) -> None:
            for _ in range(count):
                sid = f"turn-{len(door.turns)}"
                with anyio.fail_after(END_SECONDS):
                    await door.ask(sid, modelId="scout", content="say hi")

        await ask(1)
        for _ in range(rounds):
            if not order:
                order = chance.sample(VICTIMS, len(VICTIMS))
            async with anyio.create_task_group() as both:
                both.start_soon(ask, ANSWERS_BETWEEN)
                both.start_soon(anyio.to_thread.run_sync, strike, home, order.pop())
        with anyio.fail_after(END_SECONDS):
            while [*door.turns.values()][-1].ends[0]["chi"] != "finish":
                await ask(1)
        tasks.cancel_scope.cancel()
    return door


def survive(rounds: int, seed: int) -> None:
    log.warning("seed %d, %d rounds", seed, rounds)
    with new_home() as home:
        assert home.json("up", "--root", str(home.directory / "run"))["ready"]
        door = anyio.run(storm, home, rounds, random.Random(seed))
        home.hum("down")
        verdict = home.hum("thehum", "verify", "--full")
        lines = [
            line
            for segment in sorted((home.state / "thehum").glob("0*.ndjson"))
            for line in segment.read_bytes().rstrip(b"\0").split(b"\n")
            if line.endswith(b"}")
        ]

    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
    events = [orjson.loads(line) for line in lines]
    prompts = Counter(event["sid"] for event in events if event["chi"] == "prompt")
    turns = door.turns.values()
    assert {turn.sid: turn.repeats for turn in turns if turn.repeats} == {}
    assert {turn.sid for turn in turns if turn.acknowledged} <= prompts.keys()
    assert {sid: times for sid, times in prompts.items() if times > 1} == {}
    for turn in turns:
        (end,) = turn.ends
        assert end["chi"] == "finish" or end["qualifier"], turn


def test_what_supervisord_runs_may_be_killed_while_somebody_asks() -> None:
    survive(ROUNDS, SEED)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_it_may_be_killed_many_times() -> None:
    survive(ROUNDS_LONG, SEED)
