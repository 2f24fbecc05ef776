"""`hum bench`: two addresses compared, and what it says when one cannot be asked."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from tests.support.upstream import Answer, Fault, ScriptedUpstream

pytestmark = pytest.mark.process

MODEL = "test-model"
SMALL = ("--rounds=2", "--singles=3", "--seconds=0.2", "--connections=2", f"--model={MODEL}")


@pytest.fixture
def other() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as running:
        yield running


def bench(*arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-P", "-m", "hum", "bench", *SMALL, *arguments],
        env={**os.environ, **environ}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_both_are_asked_the_same_and_compared(front_url: str, other: ScriptedUpstream) -> None:
    done = bench("--url", front_url, "--against", other.base_url, "--json")

    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = orjson.loads(done.stdout)
    rows = {row["name"]: row for row in told["figures"]}
    assert rows["many at once"]["unit"] == "requests/s"
    assert rows["one at a time, p50"]["ours"] > 0
    assert rows["one at a time, p50"]["theirs"] > 0
    assert {"first event of a stream, p50", "from event to event"} <= rows.keys()
    for row in told["figures"]:
        assert row["difference"] == pytest.approx(row["ours"] - row["theirs"], abs=1e-3)
    assert told["conditions"]["connections"] == 2
    assert sum(asked.get("stream") is True for asked in other.requests) == 6


def test_a_person_gets_a_table(front_url: str, other: ScriptedUpstream) -> None:
    done = bench("--url", front_url, "--against", other.base_url)

    assert done.returncode == 0, done.stderr
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["hum", "other", "difference"]
    assert len(rows) == 7


def test_a_key_is_sent_where_it_belongs(front_url: str, other: ScriptedUpstream) -> None:
    done = bench(
        "--url", front_url, "--against", other.base_url, "--against-key-env=THEIRS", THEIRS="sk-1"
    )

    assert done.returncode == 0, done.stderr
    assert {told["authorization"] for told in other.headers} == {"Bearer sk-1"}


def test_an_address_where_nobody_listens_is_named(other: ScriptedUpstream) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]

    done = bench("--url", f"http://127.0.0.1:{port}", "--against", other.base_url)

    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answer(status=401, message="who are you"), "who are you"),
        (Answer(fault=Fault.CLOSED), "closed"),
        (Answer(fault=Fault.NO_HTTP), "closed"),
    ],
)
def test_a_refusal_ends_it_and_is_repeated(
    front_url: str, other: ScriptedUpstream, answer: Answer, says: str
) -> None:
    other.otherwise = answer

    done = bench("--url", front_url, "--against", other.base_url)

    assert done.returncode == 1
    assert says in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("--against", "ftp://x"),
        ("--against", "nothing"),
        ("--against", "http://127.0.0.1:1", "--url", "http://127.0.0.1:1/v1"),
        ("--against", "http://127.0.0.1:99999"),
        ("--against", "http://127.0.0.1:1", "--key-env", "NOT_SET_ANYWHERE"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_asked(
    arguments: tuple[str, ...],
) -> None:
    done = bench("--url", "http://127.0.0.1:1", *arguments)

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
