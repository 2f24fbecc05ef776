"""A start on a log that may only be read: humd says so, serves reads, and refuses the rest.

Whoever wants something logged hears what is wrong and what mends it; once it is mended, the same
humd goes on with it.
"""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.support.ndjson import Client, Flat
from tests.support.stack import CORE, Stack

from nest.private import replace_private
from thehum.core.names import segment_seq

pytestmark = [pytest.mark.process, pytest.mark.timeout(90)]

EVENTS = 20


@pytest.fixture
def stack() -> Iterator[Stack]:
    """Services on a log with a flipped bit in a good event."""
    with Stack() as stack:
        with stack.client() as client:
            for number in range(EVENTS):
                client.send(chi="perf-mark", rid=f"m-{number}", mark="good")
                client.read_until("echo", rid=f"m-{number}")
        for name in reversed(CORE):
            stack.kill(name, signal.SIGTERM)
        damage(stack)
        for name in CORE:
            stack.start(name)
        joins = 2  # of the door: before, and now
        stack.wait_for(lambda: stack.log("thrumd").count('"door.joined"') == joins, "a door")
        assert '"log.read_only"' in stack.log("humd")
        yield stack


def damage(stack: Stack) -> None:
    found = [path for path in stack.paths.thehum.iterdir() if segment_seq(path.name) is not None]
    newest = max(found, key=lambda path: path.name)
    data = bytearray(newest.read_bytes())
    at = data.index(b'"mark":"good"') + len(b'"mark":"g')
    data[at] ^= 1
    replace_private(newest, bytes(data))


def hum(stack: Stack, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "hum", *words]
    return subprocess.run(command, env=stack.env, capture_output=True, text=True, check=False)


def refused(client: Client, **tone: object) -> Flat:
    """The error that answers a tone; its echo says the same."""
    client.send(rid="r", **tone)
    echo = client.read_until("echo", rid="r")
    error = client.read_until("error", rid="r")
    assert not echo["ok"]
    assert echo["error"] == error["message"]
    return error


def test_what_would_be_logged_is_refused_with_the_reason_and_the_mend(stack: Stack) -> None:
    with stack.client() as client:
        for tone in (
            {"chi": "hello", "hive": "h", "bee": ["asker"]},
            {"chi": "prompt", "sid": "s", "content": "hi"},
            {"chi": "perf-mark", "mark": "m"},
        ):
            error = refused(client, **tone)

            assert error["qualifier"] == "log.unavailable"
            assert "the log is read-only" in error["message"]
            assert "hum thehum repair" in error["message"]


def test_what_is_there_is_read(stack: Stack) -> None:
    with stack.client() as client:
        client.send(chi="backfill", rid="b", from_seq=1)

        events = client.read_until("backfill", rid="b")["events"]

    assert len(events) > 0
    looked = hum(stack, "asks")
    assert looked.returncode != 0
    assert "the log is read-only" in looked.stderr


def test_once_it_is_mended_the_same_humd_goes_on(stack: Stack) -> None:
    before = stack.pid("humd")
    with stack.client() as early:
        refused(early, chi="hello", hive="h", bee=["asker"])
        stack.kill("thehum", signal.SIGTERM)
        mended = hum(stack, "thehum", "repair")
        assert mended.returncode == 0, mended.stderr
        stack.start("thehum")

        stack.wait_ready()

    with stack.client() as client:
        client.send(chi="perf-mark", rid="after", mark="after")
        assert client.read_until("echo", rid="after")["ok"] is True
    assert stack.pid("humd") == before
    assert [one for one in stack.events() if one["body"].get("mark") == "after"]
