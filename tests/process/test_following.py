"""Whoever follows the log by a cursor gets every event once, whoever is killed."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from tests.support.ndjson import Client
from tests.support.stack import QUIET_SETTINGS, REPOSITORY, Stack

from thehum.core.cursors import CURSORS_MAX
from thehum.core.pages import lines_of
from thehum.core.sealed import unpack

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

KILLS = 6
PER_ROUND = 20


@pytest.fixture
def stack(home: Path) -> Iterator[Stack]:
    with Stack(home) as running:
        yield running


def joined(stack: Stack) -> Client:
    client = stack.client()
    client.read_until("breath")
    return client


def ask(client: Client, rid: str, **asked: Any) -> dict[str, Any]:
    """One request, and its answer."""
    client.send(chi="backfill", rid=rid, **asked)
    answer = client.read()
    while answer.get("rid") != rid or answer["chi"] == "echo":
        answer = client.read()
    return answer


def logged(stack: Stack) -> list[bytes]:
    """Every line of the log, from its files."""
    files = sorted(stack.paths.thehum.glob("[0-9]*.*"))
    return [line for path in files for line in lines_of(unpack(path.read_bytes())[0])]


def projector(stack: Stack, to: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.projector", str(stack.paths.thrum_socket), str(to)],
        cwd=REPOSITORY,
        env=stack.env,
    )


def say(stack: Stack, rng: Random) -> None:
    """Have some events logged, through whatever is there."""
    stack.wait_ready()
    with joined(stack) as client:
        for _ in range(PER_ROUND):
            rid = f"{rng.random()}"
            client.send(chi="perf-mark", rid=rid, sid="s", text="x" * rng.randrange(2_000))
            client.read_until("echo", rid=rid)


def check_following(stack: Stack, to: Path, *, seed: int, kills: int) -> None:
    rng, follower = Random(seed), projector(stack, to)
    try:
        for _ in range(kills):
            say(stack, rng)
            victim = rng.choice(["projector", "thehum", "humd", "thrumd", "projector"])
            if victim == "projector":
                follower.kill()
                follower.wait()
                follower = projector(stack, to)
            else:
                stack.kill(victim)
                stack.start(victim)
        say(stack, rng)
        stack.kill("thrumd", signal.SIGTERM)
        stack.start("thrumd")
        stack.wait_ready()
        whole = logged(stack)
        stack.wait_for(
            lambda: to.exists() and len(to.read_bytes().splitlines()) >= len(whole),
            "every event at the projector",
            seconds=60,
        )
    finally:
        follower.kill()
        follower.wait()
    got = to.read_bytes().splitlines()
    assert got[: len(whole)] == whole
    assert [orjson.loads(line)["seq"] for line in got] == list(range(1, len(got) + 1))


def test_a_projector_gets_every_event_once_through_kills(stack: Stack, tmp_path: Path) -> None:
    check_following(stack, tmp_path / "events", seed=5, kills=KILLS)


@pytest.mark.soak
@pytest.mark.timeout(1_200)
def test_a_projector_gets_every_event_once_through_many_kills(stack: Stack, tmp_path: Path) -> None:
    check_following(stack, tmp_path / "events", seed=6, kills=60)


def test_what_was_acknowledged_stays_acknowledged(stack: Stack) -> None:
    with joined(stack) as client:
        first = ask(client, "1", cursor="one")
        last = orjson.loads(first["events"][-1])["seq"]
        ask(client, "2", cursor="one", acked=last)
    stack.kill("thehum")
    stack.start("thehum")
    stack.wait_ready()

    with joined(stack) as client:
        again = ask(client, "3", cursor="one")

        assert orjson.loads(again["events"][0])["seq"] == last + 1
        assert ask(client, "4", cursor="one", acked=10**9)["qualifier"] == "tone.malformed"
        assert ask(client, "5", cursor="no/such")["qualifier"] == "tone.malformed"


def test_a_request_that_waits_is_answered_when_something_happens_or_the_log_goes(
    stack: Stack,
) -> None:
    with joined(stack) as client, joined(stack) as other:
        head = ask(client, "1", cursor="one", limit=1)["head_seq"]
        client.send(chi="backfill", rid="2", cursor="one", acked=head, wait=True)
        other.send(chi="perf-mark", rid="n", sid="s")
        page = client.read_until("backfill", rid="2")
        assert orjson.loads(page["events"][0])["seq"] == head + 1

        head = page["head_seq"]
        while head != (head := ask(client, f"h{head}", cursor="one", limit=1)["head_seq"]):
            pass
        client.send(chi="backfill", rid="3", cursor="one", acked=head, wait=True)
        ask(client, "4", from_seq=1, limit=1)  # behind the one that waits
        stack.kill("thehum")
        assert client.read_until("error", rid="3")["qualifier"] == "log.unavailable"
        stack.start("thehum")


def test_cursors_have_a_bound(stack: Stack) -> None:
    with joined(stack) as client:
        for number in range(CURSORS_MAX):
            assert "qualifier" not in ask(client, f"c{number}", cursor=f"c{number}", limit=1)

        assert ask(client, "more", cursor="more")["qualifier"] == "queue.overflow"
        ask(client, "end", cursor="c0", end=True)
        assert "qualifier" not in ask(client, "again", cursor="more", limit=1)


def test_a_reader_too_far_behind_is_told_so_and_holds_nothing(home: Path) -> None:
    light = {"mode": "light", "segmentEvents": 16, "snapshotIntervalMs": 100}
    settings = {**QUIET_SETTINGS, "humd": {"metricsAddr": "", "thehum": light}}
    with Stack(home, settings=settings) as stack, joined(stack) as client:
        ask(client, "1", cursor="slow", limit=1)
        for number in range(400):
            client.send(chi="perf-mark", rid=f"n{number}", sid="s")
            client.read_until("echo", rid=f"n{number}")
        stack.wait_for((stack.paths.thehum / "base.json").exists, "the end of an old segment")

        refused = ask(client, "2", cursor="slow")
        assert refused["qualifier"] == "log.behind"
        anew = ask(client, "3", cursor="slow", anew=True, limit=1)
        assert orjson.loads(anew["events"][0])["seq"] >= anew["first_seq"] > 1
        assert "log.cursor_lapsed" in stack.log("thehum")
