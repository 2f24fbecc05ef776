"""`kill -9` of every process at random, while many ask (the router's row g; reliability F3).

Clients of the door, bees on the bus and clients of the front ask a worker whose model calls a file
tool and then talks; one process after another is killed in the middle of it and started again.
Afterwards:

- no acknowledged prompt is missing from the log, and none is in it twice;
- no client was told a tone twice: one of the door, which comes back, says how far it has heard, or
  does not say, and then hears where some may be missing;
- every turn ended, for its asker and in the log, in a `finish` or in an `error` with a qualifier;
- a turn that ended well was heard whole;
- the log verifies.

The same seed strikes the same victims after the same number of tones; it is in what a failure says.
"""

import logging
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import orjson
import pytest
from tests.support.askers import BusAsker, DoorAsker, Turn
from tests.support.front import KEY, events_of, port_of
from tests.support.stack import CORE, QUIET_SETTINGS, Stack
from tests.support.upstream import Answer, ScriptedUpstream, WantedCall

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

VICTIMS = (*CORE, "front", "openai", "humfs")
SEED = 20_261_125
QUICK_ROUNDS = 6
"""Each victim once, in an order of the seed."""
LONG_ROUNDS = 60
PIECES = 40
PIECE_SECONDS = 0.003
"""What the model takes for a piece: a turn lasts long enough to be struck."""
DOOR_ASKERS, BUS_ASKERS, FRONT_CLIENTS = 4, 3, 2
SILENT_ASKERS = 2
"""Of those of the door: they do not say what they have heard."""
TONES_BETWEEN = (40, 250)
"""How many tones are heard between two strikes: at least and at most."""
END_SECONDS = 60.0
"""How long the last turns may take on a busy machine before they are called lost."""
RETRY_SECONDS = 0.05
"""How long a client waits before it asks what is not there again."""
MODEL = "test-model"
TEXT = "".join(f"{number} " for number in range(PIECES))

log = logging.getLogger(__name__)


class Spoken(list[str]):
    """The pieces of an answer, at the pace of a model."""

    def __iter__(self) -> Iterator[str]:
        for piece in list.__iter__(self):
            time.sleep(PIECE_SECONDS)  # allowed: the pace of the model, nobody waits for it
            yield piece


def reply(request: Any) -> Answer:
    """A file is read first; then the model talks."""
    if request["messages"][-1]["role"] == "user":
        return Answer(calls=(WantedCall("c1", "humfs_read", {"path": "a.txt"}),))
    return Answer(pieces=Spoken(f"{number} " for number in range(PIECES)))


class Load:
    """Everybody who asks, and how much they heard."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.heard = 0
        self._moved = anyio.Event()
        self.is_ending = False
        door = str(stack.paths.thrum_socket)
        self.doors = [
            DoorAsker(door, f"door-{n}", self._hear, says_heard=n >= SILENT_ASKERS)
            for n in range(DOOR_ASKERS)
        ]
        self.bees = [BusAsker(stack, f"bus-{n}", self._hear) for n in range(BUS_ASKERS)]
        self.answers: Counter[str] = Counter()
        """What became of requests to the front."""

    def _hear(self) -> None:
        self.heard += 1
        self._moved.set()

    async def wait_heard(self, more: int) -> None:
        """Return once so many more tones were heard."""
        wanted = self.heard + more
        with anyio.move_on_after(END_SECONDS):
            while self.heard < wanted:
                self._moved = anyio.Event()
                await self._moved.wait()
            return
        raise AssertionError(f"nothing moves: {self._waiting}")

    async def ask_on(self, asker: DoorAsker | BusAsker, name: str) -> None:
        """One turn after the other."""
        number = 0
        while not self.is_ending:
            number += 1
            turn = await asker.ask(f"{name}-{number}", modelId=MODEL, content="look and tell")
            if turn.ends[0].get("qualifier") == "prompt.no-worker":
                await anyio.sleep(RETRY_SECONDS)  # allowed: the pace of a client

    async def request_on(self) -> None:
        """One request to the front after the other; a new connection for each."""
        while not self.is_ending:
            url = f"http://127.0.0.1:{port_of(self.stack)}/v1/chat/completions"
            body = {
                "model": MODEL,
                "stream": True,
                "messages": [{"role": "user", "content": "look and tell"}],
            }
            try:
                async with (
                    httpx.AsyncClient(timeout=60) as client,
                    client.stream("POST", url, json=body) as response,
                ):
                    said = await response.aread()
            except httpx.HTTPError:
                self.answers["broken"] += 1
                await anyio.sleep(RETRY_SECONDS)  # allowed: the pace of a client
                continue
            self.answers[outcome(response.status_code, said)] += 1

    async def expect_an_end(self) -> None:
        """Fail, and say which turns still wait, when they wait for too long."""
        with anyio.move_on_after(END_SECONDS):
            for turn in self.turns:
                await turn.over.wait()
            return
        raise AssertionError(f"no end in {END_SECONDS:.0f} s: {self._waiting}")

    @property
    def _waiting(self) -> list[Turn]:
        return [turn for turn in self.turns if not turn.over.is_set()]

    @property
    def askers(self) -> list[DoorAsker | BusAsker]:
        return [*self.doors, *self.bees]

    @property
    def turns(self) -> list[Turn]:
        return [turn for asker in self.askers for turn in asker.turns.values()]


def outcome(status: int, said: bytes) -> str:
    """What an answer of the front is: whole, an error that says what, or neither."""
    if status != 200:
        return "error" if orjson.loads(said)["error"]["message"] else "silent"
    events = [line[6:] for line in said.splitlines() if line.startswith(b"data: ")]
    errors = [event for event in events if b'"error"' in event]
    if errors:
        return "error" if orjson.loads(errors[0])["error"]["message"] else "silent"
    choices = [orjson.loads(event)["choices"] for event in events if event != b"[DONE]"]
    text = "".join(one[0]["delta"].get("content") or "" for one in choices if one)
    return "whole" if events[-1:] == [b"[DONE]"] and text == TEXT else f"cut: {said[-300:]!r}"


async def storm(stack: Stack, rounds: int, chance: random.Random) -> Load:
    """Kill and start processes under load; return once every turn is over."""
    load = Load(stack)
    order = [*VICTIMS]
    async with anyio.create_task_group() as tasks:
        for door in load.doors:
            tasks.start_soon(door.run)
        for bee in load.bees:
            await tasks.start(bee.run)
        async with anyio.create_task_group() as asking:
            for number, asker in enumerate(load.askers):
                asking.start_soon(load.ask_on, asker, f"turn-{number}")
            for _ in range(FRONT_CLIENTS):
                asking.start_soon(load.request_on)
            for strike in range(rounds):
                if strike % len(order) == 0:
                    chance.shuffle(order)
                await load.wait_heard(chance.randint(*TONES_BETWEEN))
                victim = order[strike % len(order)]
                await anyio.to_thread.run_sync(stack.kill, victim)
                stack.start(victim)
            await load.wait_heard(TONES_BETWEEN[1])
            load.is_ending = True
            asking.start_soon(load.expect_an_end)
        tasks.cancel_scope.cancel()
    return load


def expect_all_told(load: Load) -> None:
    """What the clients saw."""
    assert {turn.sid: turn.repeats for turn in load.turns if turn.repeats} == {}
    for turn in load.turns:
        assert len(turn.ends) == 1, turn
        (end,) = turn.ends
        if end["chi"] == "finish":
            assert turn.text == TEXT, turn
        else:
            assert end["qualifier"], turn
    assert any(end["chi"] == "finish" for turn in load.turns for end in turn.ends)
    assert {*load.answers} <= {"whole", "error", "broken"}, load.answers


def expect_whole_log(stack: Stack, load: Load) -> None:
    """What the log has."""
    for name in reversed(VICTIMS):
        stack.kill(name, signal.SIGTERM)
    verdict = subprocess.run(
        [sys.executable, "-m", "hum", "thehum", "verify", "--full"],
        env=stack.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
    events = events_of(stack)
    prompts = Counter(event["sid"] for event in events if event["chi"] == "prompt")
    acknowledged = {turn.sid for turn in load.turns if turn.acknowledged}
    assert acknowledged <= prompts.keys(), "an acknowledged prompt is lost"
    assert {sid: times for sid, times in prompts.items() if times > 1} == {}
    ended = {
        event["sid"]
        for event in events
        if event["chi"] == "finish" or (event["chi"] == "error" and event["body"].get("qualifier"))
    }
    assert prompts.keys() <= ended, "a turn that never ended"


def survive(home: Path, rounds: int, seed: int) -> Load:
    log.warning("seed %d, %d rounds", seed, rounds)
    root = home / "root"
    root.mkdir()
    (root / "a.txt").write_text("what is read\n")
    settings = {**QUIET_SETTINGS, "fs": {"roots": [{"path": str(root)}]}}
    with ScriptedUpstream((MODEL,)) as upstream:
        upstream.reply = reply
        environment = {"OPENAI_BASE_URL": upstream.base_url, "OPENAI_API_KEY": KEY}
        services = (*CORE, "humfs", "openai", "front")
        with Stack(services=services, env=environment, settings=settings) as stack:
            for hive in ("humfs", "openai", "front"):
                stack.wait_bee(hive)
            load = anyio.run(storm, stack, rounds, random.Random(seed))
            expect_all_told(load)
            expect_whole_log(stack, load)
    return load


def test_no_kill_loses_an_acknowledged_tone_or_leaves_a_turn_open(home: Path) -> None:
    load = survive(home, QUICK_ROUNDS, SEED)

    assert max(door.connections for door in load.doors) > 1


@pytest.mark.soak
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("seed", range(3))
def test_no_kill_of_many_does_either(home: Path, seed: int) -> None:
    load = survive(home, LONG_ROUNDS, SEED + seed)

    assert len(load.turns) > LONG_ROUNDS
