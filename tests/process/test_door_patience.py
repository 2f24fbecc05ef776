"""The door's patience in real time: ten seconds for a line, ten for one who does not read.

The rules are tested without a clock in `tests/unit/thrumd/test_door.py`; here real sockets wait.
"""

from collections.abc import Iterator

import orjson
import pytest
from tests.support.ndjson import Client
from tests.support.stack import Stack

pytestmark = [pytest.mark.process, pytest.mark.soak, pytest.mark.timeout(120)]

REPLY_SECONDS = 60.0
CHUNKS, CHUNK = 700, "x" * 20_000
"""More than waits for a client for longer than ten seconds, less than what cuts it off at once."""


@pytest.fixture
def stack() -> Iterator[Stack]:
    with Stack() as running:
        yield running


def cuts(stack: Stack) -> list[str]:
    """Why the door ended connections, in order."""
    events = (orjson.loads(line) for line in stack.log("thrumd").splitlines() if line[:1] == "{")
    return [event["reason"] for event in events if event["event"] == "door.cut"]


def test_a_line_that_does_not_end_ends_its_connection_and_no_other(stack: Stack) -> None:
    with stack.client(reply_seconds=REPLY_SECONDS) as slow, stack.client() as idle:
        assert slow.read()["chi"] == "breath"
        slow.send_raw(b'{"chi":"prompt","sid":"s","content":"')

        ended = slow.socket.recv(1)

        assert ended == b""
        assert cuts(stack) == ["unfinished-line"]
        idle.send(chi="unknown", rid="r")
        assert idle.read_until("echo", rid="r")["ok"] is True


def test_a_reader_that_stays_full_is_cut_and_hears_why(stack: Stack) -> None:
    with (
        stack.client(reply_seconds=REPLY_SECONDS) as worker,
        stack.client(reply_seconds=REPLY_SECONDS) as asker,
        stack.client(reply_seconds=REPLY_SECONDS) as stopped,
    ):
        worker.send(chi="hello", rid="h", hive="w", bee=["worker"], models=["m"])
        worker.read_until("echo", rid="h")
        for client, hear_only in ((asker, False), (stopped, True)):
            client.send(chi="attach", rid="a", sid="s", hearOnly=hear_only)
            client.read_until("echo", rid="a")
        asker.send(chi="prompt", rid="p", sid="s", modelId="m")
        worker.read_until("prompt")
        for number in range(CHUNKS):
            worker.send(chi="chunk", sid="s", chunkType="text_delta", n=number, delta=CHUNK)
            asker.read_until("chunk", n=number)
        stack.wait_for(lambda: cuts(stack) != [], "a cut", seconds=REPLY_SECONDS)
        worker.send(chi="finish", sid="s", finishReason="stop")

        assert asker.read_until("finish", sid="s")
        assert cuts(stack) == ["slow-reader"]
        assert last_of(stopped)["qualifier"] == "queue.overflow"


def last_of(client: Client) -> dict[str, object]:
    """The last line before the end."""
    last: dict[str, object] = {}
    while True:
        try:
            last = client.read()
        except EOFError:
            return last
