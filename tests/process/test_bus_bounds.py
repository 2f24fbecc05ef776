"""What is too long or too much for a frame of the bus is refused; nobody else feels it.

ZeroMQ drops the connection of who would receive a longer frame. Were one sent, the log, a door with
everybody behind it, or a bee would lose its connection again and again.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.ndjson import Client
from tests.support.peer import Peer
from tests.support.stack import CORE, Stack

from humd.edge.bus import RELAYED_PARCELS_MAX, Bus
from humd.edge.greeting import QUESTIONS_BURST
from nest.link import Settled
from nest.sockets import DealerSocket, Poll
from thrum import frames
from thrum.chi import Chi, LinkChi
from thrum.errors import Qualifier
from thrum.frames import Header
from thrum.tones import Body, Tone

pytestmark = [pytest.mark.process, pytest.mark.timeout(60)]

MODEL = "m"
ANSWER_SECONDS = 20.0


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(services=CORE) as stack:
        yield stack


@pytest.fixture(scope="module")
def worker(stack: Stack) -> Iterator[Client]:
    with stack.client() as worker:
        hid = f"wbee_{'1' * 64}"
        worker.send(chi="hello", rid="h", hive="w", bee=["worker"], models=[MODEL], hid=hid)
        worker.read_until("echo", rid="h")
        yield worker


@pytest.fixture
def hostile(stack: Stack) -> Iterator[Peer]:
    peer = Peer(stack.paths.bus_endpoint, Poll(), {"bee": ["asker"], "hive": "hostile"})
    peer.join()
    yield peer
    peer.leave()


def expect_service(stack: Stack, worker: Client, sid: str) -> None:
    """Fail unless a prompt still finds the worker behind the door that was there all the time."""
    with stack.client() as asker:
        asker.send(chi="prompt", rid="p", sid=sid, modelId=MODEL, content="hi")
        asker.read_until("echo", rid="p")
        worker.read_until("prompt", sid=sid)
        worker.send(chi="finish", sid=sid, finishReason="stop")
        asker.read_until("finish", sid=sid)


def heard(peer: Peer, chi: str) -> tuple[Tone, dict[int, str]]:
    """The next tone of this kind, and what was refused until it came."""
    refused: dict[int, str] = {}
    ends = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < ends:
        while (frame := peer.socket.receive()) is not None:
            for event in peer.link.receive(frame):
                if isinstance(event, Settled):
                    refused |= event.refused
                elif isinstance(event, Tone) and event.chi == chi:
                    return event, refused
        peer._poll.wait(100)
    raise AssertionError(f"no {chi}")


def parcel_of(chi: str, *, number: int, size: int) -> bytes:
    """A parcel with a body of so many bytes."""
    body: Body = {"modelId": MODEL, "pad": ""}
    body["pad"] = "x" * (size - len(frames.pack_body(body)) - 4)
    return frames.pack(Header(chi, "long", "long", seq=number), body)


@pytest.mark.parametrize(
    ("chi", "number"), [(Chi.PROMPT, 1), (Chi.PERF_MARK, 1), (LinkChi.VITALS, 0), (Chi.BACKFILL, 0)]
)
def test_a_body_that_only_just_fits_a_frame_is_refused(
    stack: Stack, worker: Client, hostile: Peer, chi: str, number: int
) -> None:
    hostile.socket.send(parcel_of(chi, number=number, size=frames.FRAME_BYTES_MAX - 100))

    error, refused = heard(hostile, Chi.ERROR)
    assert error.body["qualifier"] == Qualifier.FRAME_TOO_LARGE
    assert refused.keys() == ({number} if number else set())
    expect_service(stack, worker, f"after-{chi}")
    assert "long" not in [event["sid"] for event in stack.events()]


def test_a_header_as_long_as_a_body_is_refused(stack: Stack, worker: Client, hostile: Peer) -> None:
    sid = "s" * frames.HEADER_BYTES_MAX
    hostile.socket.send(frames.pack(Header(Chi.PROMPT, "r", sid, seq=1), {"modelId": MODEL}))

    error, refused = heard(hostile, Chi.ERROR)
    assert error.body["qualifier"] == Qualifier.FRAME_TOO_LARGE
    assert refused.keys() == {1}
    expect_service(stack, worker, "after-header")


def test_a_prompt_that_grows_too_long_on_its_way_is_an_error_for_its_asker(
    stack: Stack, worker: Client
) -> None:
    """Its `text` becomes its `content` too."""
    with stack.client() as asker:
        asker.send(chi="prompt", rid="p", sid="twice", modelId=MODEL, text="x" * 14_000_000)

        error = asker.read_until("error", sid="twice")

    assert (error["qualifier"], error["cause"]) == (Qualifier.FRAME_TOO_LARGE, "p")
    expect_service(stack, worker, "after-growth")


def test_why_a_tone_is_refused_is_told_in_few_words_however_long_its_names(
    stack: Stack, worker: Client
) -> None:
    with stack.client() as asker:
        asker.send_raw(
            b'{"chi":"tool-result","rid":"r","callId":"' + "\ue000".encode() * 5_000_000 + b'"}\n'
        )

        error = asker.read_until("error", rid="r")

    assert len(error["message"]) < 2_000
    expect_service(stack, worker, "after-names")


def test_answers_that_nobody_asked_for_harm_nobody(
    stack: Stack, worker: Client, hostile: Peer
) -> None:
    (door,) = [bee["nestlerId"] for bee in hostile.bees() if bee["name"] == "thrumd"]
    answer = frames.pack(Header(LinkChi.VITALS, "x", to=door), {"pad": "x" * 900_000})
    for _ in range(20):
        hostile.socket.send(answer * 20)

    expect_service(stack, worker, "after-answers")


def test_what_bees_ask_of_one_another_never_fills_the_queue_of_one(home: Path) -> None:
    """Else anybody could have another bee cut off that only is slow."""
    endpoint = f"ipc://{home}/bus"
    bus, bee = Bus(endpoint, lambda _: None, silence_ms=60_000), DealerSocket(endpoint)
    poll = Poll()
    bus.watch(poll)
    bee.send(b"hello")
    while (received := bus.receive()) is None:
        poll.wait(100)
    connection, _ = received

    for _ in range(10 * RELAYED_PARCELS_MAX):
        bus.relay(connection, b"question")

    assert 0 < len(connection.control) <= RELAYED_PARCELS_MAX
    bee.close()
    bus.close()


def test_who_asks_without_end_is_told_so_and_nobody_else_waits(
    stack: Stack, worker: Client, hostile: Peer
) -> None:
    question = frames.pack(Header(LinkChi.VITALS, "flood"), {})
    hostile.socket.send(question * (int(QUESTIONS_BURST) + 60_000))

    expect_service(stack, worker, "after-questions")

    while "refused" not in heard(hostile, LinkChi.VITALS)[0].body:
        pass
