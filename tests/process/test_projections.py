"""What humd computes from its log survives its death, and says what the log says."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.support.ndjson import Client
from tests.support.stack import Stack

pytestmark = pytest.mark.process

ROUNDS = 4
TURNS = 3
MODEL = "m"


@pytest.fixture
def stack(home: Path) -> Iterator[Stack]:
    with Stack(home) as stack:
        yield stack
        stack.kill("thrumd")  # it would wait for a humd that is gone


def join(stack: Stack, *roles: str, digit: str) -> Client:
    client = stack.client()
    hid = f"wbee_{digit * 64}"
    client.send(chi="hello", rid="h", hive=f"bee-{digit}", bee=list(roles), hid=hid, models=[MODEL])
    client.read_until("echo", rid="h")
    return client


def answer(worker: Client, *, tokens: int) -> None:
    """Serve the next prompt, up to the finish, whose echo nobody waits for."""
    sid = worker.read_until("prompt")["sid"]
    worker.send(chi="chunk", rid=f"c-{sid}", sid=sid, chunkType="text_delta", delta="x")
    usage = {"input_tokens": tokens, "output_tokens": 1}
    worker.send(chi="finish", rid=f"f-{sid}", sid=sid, finishReason="end_turn", usage=usage)


def counters(stack: Stack) -> dict[str, int]:
    try:
        found: dict[str, int] = orjson.loads(stack.paths.penny_json.read_bytes())
    except FileNotFoundError:
        return {}
    return found


def logged(stack: Stack, chi: str) -> list[dict[str, Any]]:
    """The events of one kind in the log, from its files."""
    return [event for event in stack.events() if event["chi"] == chi]


def timed(stack: Stack) -> list[dict[str, Any]]:
    lines = b"".join(path.read_bytes() for path in sorted(stack.paths.drift.iterdir()))
    return [orjson.loads(line) for line in lines.splitlines()]


def hum(stack: Stack, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "hum", *arguments],
        env=stack.env,
        capture_output=True,
        text=True,
        check=False,
    )


def said(stack: Stack, *arguments: str) -> Any:
    done = hum(stack, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return orjson.loads(done.stdout)


@pytest.mark.timeout(60)
def test_counters_and_timings_are_those_of_the_log_however_often_humd_dies(stack: Stack) -> None:
    """Features A18: never down, and equal to the log's own count; each turn timed once."""
    with join(stack, "worker", digit="1") as worker, join(stack, digit="2") as asker:
        before: dict[str, int] = {}
        for number in range(ROUNDS):
            for turn in range(TURNS):
                sid = f"s-{number}-{turn}"
                asker.send(chi="prompt", rid=sid, sid=sid, modelId=MODEL, content="hi")
                answer(worker, tokens=number + 1)
            stack.kill("humd")
            now = counters(stack)
            assert all(now.get(name, 0) >= value for name, value in before.items())
            before = now
            stack.start("humd")
            for turn in range(TURNS):
                asker.read_until("finish", sid=f"s-{number}-{turn}")
        stack.kill("humd", signal.SIGTERM)

    finishes = logged(stack, "finish")
    assert len(finishes) == ROUNDS * TURNS
    spent = sum(event["body"]["usage"]["input_tokens"] for event in finishes)
    assert counters(stack) == {
        "blooms": len(finishes),
        "totalInputTokens": spent,
        "totalOutputTokens": len(finishes),
    }
    records = timed(stack)
    assert [record["seq"] for record in records] == [event["seq"] for event in finishes]
    assert all(sum(one["phases"].values()) == one["total_ms"] for one in records)
    assert said(stack, "penny")["counters"] == counters(stack)
    sums = said(stack, "drift")
    assert (sums["turns"], sums["ms"]["total"]["n"]) == (len(finishes), len(finishes))
    assert said(stack, "drift", "-n", "1")["seq"] == finishes[-1]["seq"]
    assert said(stack, "drift", "--sid", "s-0-0")["turns"] == 1


def test_a_conversation_is_told_from_the_log(stack: Stack) -> None:
    """Who, model, timing, cost and events; the name of a client, never its number."""
    with join(stack, "worker", digit="1") as worker, join(stack, digit="2") as asker:
        for rid, size in (("r1", 2), ("r2", 100_000)):
            asker.send(chi="prompt", rid=rid, sid="s", modelId=MODEL, content="x" * size)
            answer(worker, tokens=5)
            asker.read_until("finish")
    found = said(stack, "hum", "s")
    stack.wait_for(lambda: len(timed(stack)) == 2, "two timing records")
    listed = said(stack, "hum")

    assert (found["askers"], found["workers"], found["models"]) == (["bee-2"], ["bee-1"], [MODEL])
    assert found["tokens"] == {"input_tokens": 10, "output_tokens": 2}
    assert [turn["outcome"] for turn in found["turns"]] == ["end_turn", "end_turn"]
    assert found["events"] == len(found["newest_events"]) == 6
    assert (listed["sid"], listed["turns"], listed["tokens"]) == ("s", 2, 12)
    text = hum(stack, "hum", "s", "--events")
    assert "bee-1" in text.stdout
    assert text.stdout.count(" chunk  ") == 2
    unknown = hum(stack, "hum", "no such")
    assert (unknown.returncode, unknown.stdout) == (1, "")


def test_what_was_deleted_comes_back_from_the_log(stack: Stack) -> None:
    """Features A11: projections are deletable."""
    with join(stack, "worker", digit="1") as worker, join(stack, digit="2") as asker:
        asker.send(chi="prompt", rid="r", sid="s", modelId=MODEL, content="hi")
        answer(worker, tokens=5)
        asker.read_until("finish")
    stack.kill("humd", signal.SIGTERM)
    before = counters(stack), timed(stack)
    assert before[0]["blooms"] == len(before[1]) == 1

    stack.paths.penny_json.unlink()
    stack.paths.penny_copy.unlink()
    shutil.rmtree(stack.paths.drift)
    stack.start("humd")
    stack.wait_ready()
    stack.kill("humd", signal.SIGTERM)

    assert (counters(stack), timed(stack)) == before


def test_a_projection_that_cannot_be_written_is_in_nobodys_way(stack: Stack) -> None:
    stack.kill("humd", signal.SIGTERM)
    shutil.rmtree(stack.paths.drift)
    stack.paths.drift.write_text("in the way")
    stack.paths.penny_json.unlink(missing_ok=True)
    stack.paths.penny_json.mkdir()
    stack.start("humd")
    stack.wait_ready()

    with join(stack, "worker", digit="1") as worker, join(stack, digit="2") as asker:
        asker.send(chi="prompt", rid="r", sid="s", modelId=MODEL, content="hi")
        answer(worker, tokens=5)
        assert asker.read_until("finish")["finishReason"] == "end_turn"

    stack.wait_for(lambda: "projection.failed" in stack.log("humd"), "a complaint")
    assert stack.kill("humd", signal.SIGTERM) == 0
