"""The bus with a real humd and a real log: joining, losses, hostile bytes, slow readers."""

import os
import random
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress

import anyio
import anyio.lowlevel
import msgpack
import pytest
from anyio.abc import TaskGroup
from tests.support.bees import AHEAD, CHUNKS, MODEL, bee_named, read_stream, serve_stream
from tests.support.stack import Stack

from humd.core.hellos import HELLO_BYTES_MAX
from nest.bee import Bee
from nest.link import HELLO_CONTEXT, HelloRefused
from nest.sockets import DealerSocket, Poll
from thrum import frames
from thrum.chi import Chi, LinkChi
from thrum.errors import Qualifier
from thrum.frames import Header
from thrum.keys import SigningKey
from thrum.tones import Tone

pytestmark = [pytest.mark.process, pytest.mark.timeout(60)]

TOOL = {"name": "wait", "description": "", "inputSchema": {"type": "object"}}
REPLY_MS = 5_000


@pytest.fixture
def stack() -> Iterator[Stack]:
    with Stack(services=("thehum", "humd")) as stack:
        stack.wait_for(lambda: "humd.ready" in stack.log("humd"), "a humd that has replayed")
        yield stack


@pytest.fixture
async def tasks() -> AsyncIterator[TaskGroup]:
    async with anyio.create_task_group() as tasks:
        yield tasks
        tasks.cancel_scope.cancel()


async def joined(stack: Stack, tasks: TaskGroup, name: str, *roles: str, **hello: object) -> Bee:
    bee = bee_named(stack, name, *roles, **hello)
    await tasks.start(bee.run)
    return bee


async def heard(bee: Bee, chi: str, sid: str | None = None) -> Tone:
    """The next tone of this chi (and sid) in the inbox."""
    async for tone in bee.inbox:
        if tone.chi == chi and sid in (None, tone.sid):
            return tone
    raise AssertionError("an inbox never ends")


class Stranger:
    """A connection to the bus that speaks no protocol of its own."""

    def __init__(self, stack: Stack) -> None:
        self._socket = DealerSocket(stack.paths.bus_endpoint)
        self._poll = Poll()
        self._poll.watch(self._socket)

    def send(self, frame: bytes) -> None:
        self._socket.send(frame)

    def reply(self) -> list[tuple[str, dict[str, object]]]:
        """The parcels of the next frame that is not empty."""
        while True:
            while (frame := self._socket.receive()) is not None:
                if frame:
                    return [(header.chi, frames.read_body(raw))
                            for header, raw in frames.read_frame(frame)]  # fmt: skip
            assert self._poll.wait(REPLY_MS), "humd is mute"
            assert not self._socket.disconnects(), "humd is gone"

    def hello(self, **fields: object) -> None:
        self.send(frames.pack(Header("hello"), fields))

    def close(self) -> None:
        self._poll.forget(self._socket)
        self._socket.close()


@contextmanager
def stranger_on(stack: Stack) -> Iterator[Stranger]:
    stranger = Stranger(stack)
    try:
        yield stranger
    finally:
        stranger.close()


def proof(stack: Stack, stranger: Stranger, *, prefix: str = "wbee") -> dict[str, object]:
    """A hello that would be believed."""
    link = bee_named(stack, "mallory")._link
    hid = f"{prefix}_{str(link.hid).partition('_')[2]}"
    stranger.hello(hid=hid)
    ((_, breath),) = stranger.reply()
    return {
        "hid": hid,
        "pubkey": link.key.public.hex(),
        "instance": link.instance,
        "cursor": 0,
        "signature": link.key.sign(f"{HELLO_CONTEXT}:{hid}:{breath['nonce']}".encode()).hex(),
        "bee": ["asker"],
        "hive": "mallory",
    }


def answer_to(stranger: Stranger, hello: dict[str, object]) -> tuple[str, str]:
    """The chi of the answer, and its qualifier or reason."""
    stranger.hello(**hello)
    ((chi, body),) = stranger.reply()
    return chi, str(body.get("qualifier") or body.get("reason"))


def test_a_hello_that_proves_nothing_is_refused_with_a_reason(stack: Stack) -> None:
    other = SigningKey.from_seed(bytes(32))
    wrongs: list[dict[str, object]] = [
        {"signature": other.sign(b"x").hex()},
        {"pubkey": other.public.hex()},
        {"cursor": []},
        {"cursor": 1e400},
        {"pubkey": 7},
        {"hid": None},
        {"instance": "a/b"},
        {"instance": None},
        {"signature": "zz"},
        {"tools": "x" * HELLO_BYTES_MAX},
    ]
    for wrong in wrongs:
        with stranger_on(stack) as stranger:
            verdict = answer_to(stranger, {**proof(stack, stranger), **wrong})

            assert verdict == ("error", Qualifier.AUTH_DENIED), wrong


async def test_a_bee_cannot_speak_for_the_process_of_another(
    stack: Stack, tasks: TaskGroup
) -> None:
    victim = await joined(stack, tasks, "victim", "asker")

    with stranger_on(stack) as stranger:
        hello = {**proof(stack, stranger), "instance": victim._link.instance}
        chi, reason = answer_to(stranger, hello)

    assert chi == "reset"
    assert Qualifier.AUTH_DENIED in reason
    assert victim.is_connected


@pytest.mark.parametrize("role", ["log", "operator", "sidecar"])
def test_nobody_takes_a_role_whose_key_it_does_not_have(stack: Stack, role: str) -> None:
    with stranger_on(stack) as stranger:
        hello = {**proof(stack, stranger, prefix="humd"), "bee": [role], "state": "writable"}

        assert answer_to(stranger, hello) == ("error", Qualifier.AUTH_DENIED)


def test_a_connection_that_does_not_begin_with_a_hello_is_ended(stack: Stack) -> None:
    with stranger_on(stack) as stranger:
        stranger.send(frames.pack(Header("prompt", sid="s"), {}))

        ((chi, _),) = stranger.reply()
        assert chi == "reset"


async def test_a_bee_whose_identity_humd_does_not_believe_is_told_and_ends(stack: Stack) -> None:
    bee = bee_named(stack, "liar", "asker")
    bee._link.key = SigningKey.from_seed(bytes(32))

    with pytest.raises((HelloRefused, ExceptionGroup)) as caught:
        async with anyio.create_task_group() as tasks:
            await tasks.start(bee.run)

    assert caught.group_contains(HelloRefused) or isinstance(caught.value, HelloRefused)


async def test_a_second_process_with_the_same_key_is_the_bee_from_then_on(
    stack: Stack, tasks: TaskGroup
) -> None:
    first = await joined(stack, tasks, "twin", "worker", models=("twin",))
    asker = await joined(stack, tasks, "asker-of-twins", "asker")
    with asker.stream("before") as tones:
        await asker.send(Tone(chi="prompt", sid="before", body={"modelId": "twin"}))
        await heard(first, "prompt")
        second = await joined(stack, tasks, "twin", "worker", models=("twin",))
        (lost, *_) = await tones.take()

    await asker.send(Tone(chi="prompt", sid="after", body={"modelId": "twin"}))

    assert lost.body["qualifier"] == Qualifier.WORKER_LOST
    assert (await heard(second, "prompt")).sid == "after"


async def test_the_asker_is_told_when_its_worker_dies(stack: Stack, tasks: TaskGroup) -> None:
    asker = await joined(stack, tasks, "asker-1", "asker")
    with asker.stream("s1") as tones:
        async with anyio.create_task_group() as short:
            worker = await joined(stack, short, "worker-1", "worker", models=("m1",))
            await asker.send(Tone(chi="prompt", sid="s1", body={"modelId": "m1"}))
            await heard(worker, "prompt")
            short.cancel_scope.cancel()
        (error, *_) = await tones.take()

    assert error.chi == "error"
    assert error.body["qualifier"] == Qualifier.WORKER_LOST


async def test_the_caller_is_told_when_the_forager_dies(stack: Stack, tasks: TaskGroup) -> None:
    caller = await joined(stack, tasks, "caller", "asker")
    async with anyio.create_task_group() as short:
        forager = await joined(stack, short, "forager-1", "forager", tools=(TOOL,))
        body = {"callId": "c", "toolName": "wait"}
        await caller.send(Tone(chi="tool-call", sid="calls", body=body))
        await heard(forager, "tool-call")
        short.cancel_scope.cancel()
    error = await heard(caller, "error")

    assert error.body["qualifier"] == Qualifier.TOOL_FORAGER_LOST
    assert error.body["callId"] == "c"


async def test_a_refused_tone_is_settled_and_answered_though_nothing_else_happens(
    stack: Stack, tasks: TaskGroup
) -> None:
    bee = await joined(stack, tasks, "refused", "asker")

    await bee.send(Tone(chi="prompt", rid="mine", body={}))

    error = await heard(bee, "error")
    await bee.settled()
    assert (error.rid, error.body["qualifier"]) == ("mine", Qualifier.PROMPT_NO_SID)


async def test_a_tone_with_an_unreadable_body_is_refused_and_its_bee_served_on(
    stack: Stack, tasks: TaskGroup
) -> None:
    bee = await joined(stack, tasks, "scribbler", "asker")

    await bee.send(Tone(chi="attach", sid="x", body={7: "not a text"}))  # type: ignore[dict-item]
    await bee.send(Tone(chi="prompt", sid="x", body={"modelId": "nobody"}))

    errors = [await heard(bee, "error") for _ in range(2)]
    assert {tone.body["qualifier"] for tone in errors} == {
        Qualifier.TONE_MALFORMED,
        Qualifier.PROMPT_NO_WORKER,
    }


async def test_an_unreadable_chunk_does_not_stop_who_listens(
    stack: Stack, tasks: TaskGroup
) -> None:
    worker = await joined(stack, tasks, "worker-2", "worker", models=("m2",))
    asker = await joined(stack, tasks, "asker-2", "asker")
    with asker.stream("s2") as tones:
        await asker.send(Tone(chi="prompt", sid="s2", body={"modelId": "m2"}))
        await heard(worker, "prompt")
        await worker.send(Tone(chi="chunk", sid="s2", body={7: "?"}))  # type: ignore[dict-item]
        await worker.send(Tone(chi="finish", sid="s2"))
        (finish, *_) = await tones.take()

    assert finish.chi == "finish"


async def expect_service(stack: Stack, tasks: TaskGroup, pid: int) -> None:
    """Fail unless this humd still routes between bees that join now."""
    worker = await joined(stack, tasks, "later-worker", "worker", models=("later",))
    asker = await joined(stack, tasks, "later-asker", "asker")
    await asker.send(Tone(chi="prompt", sid="later", body={"modelId": "later"}))
    assert await heard(worker, "prompt", "later")
    assert stack.is_running("humd")
    assert stack.pid("humd") == pid


async def test_junk_of_strangers_leaves_humd_up_and_others_served(
    stack: Stack, tasks: TaskGroup
) -> None:
    chance, pid = random.Random(1), stack.pid("humd")
    strangers = [Stranger(stack) for _ in range(8)]
    for _ in range(4_000):
        chance.choice(strangers).send(chance.randbytes(chance.randrange(64)))
    strangers[0].send(bytes(frames.FRAME_BYTES_MAX + 1))

    await expect_service(stack, tasks, pid)
    for stranger in strangers:
        stranger.close()


async def test_junk_below_zeromq_leaves_humd_up_and_others_served(
    stack: Stack, tasks: TaskGroup
) -> None:
    chance, pid = random.Random(3), stack.pid("humd")
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(16 + 1 + 31)
    for number in range(300):
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(str(stack.paths.bus_socket))
            with suppress(OSError):
                begin = greeting if number % 2 else b""
                raw.sendall(begin + chance.randbytes(chance.randrange(1, 512)))

    await expect_service(stack, tasks, pid)


CHIS = [*LinkChi, *Chi, "nope"]
KEYS = [
    *("count", "cursor", "batch", "epoch", "ask", "hid", "callId", "toolName", "bind", "scope"),
    *("client", "from_seq", "upto", "refused", "hive", "tools", "propensity", "bee", "models"),
    *("callee", "sections", "head", "offer", "disallowedTools", "hearOnly", "modelId"),
]
VALUES: list[object] = [
    None,
    True,
    -1,
    2**63,
    1.5,
    "",
    "x",
    b"\xff",
    [],
    {},
    [[]],
    {"a": b"\x00"},
    {"a": 1},
]
SHAPES: list[object] = [[], ["x"] * 10, ["chunk"] + [None] * 8 + ["1"], 7, None, {"chi": "chunk"}]


async def test_junk_of_a_bee_leaves_humd_up_and_others_served(
    stack: Stack, tasks: TaskGroup
) -> None:
    chance, pid = random.Random(2), stack.pid("humd")
    bee = await joined(stack, tasks, "joker", "asker", tools=(TOOL,))
    for number in range(4_000):
        body = {chance.choice(KEYS): chance.choice(VALUES) for _ in range(4)}
        header = Header(
            chance.choice(CHIS),
            chance.choice([None, f"r{number}"]),
            chance.choice([None, "", "sid"]),
            to=chance.choice([None, "", "humd", bee.hid]),
            seq=chance.choice([0, number + 10]),
        )
        await bee.joined()
        assert bee._socket is not None
        bee._socket.send(frames.pack(header, body))
        if number % 50 == 0:
            await anyio.lowlevel.checkpoint()
    for shape in SHAPES:
        await bee.joined()
        assert bee._socket is not None
        bee._socket.send(msgpack.packb(shape) + b"\x80")
        await anyio.lowlevel.checkpoint()
    await expect_service(stack, tasks, pid)

    stack.kill("humd")
    stack.start("humd")
    replayed = await joined(stack, tasks, "after-replay", "worker", models=("replayed",))
    assert replayed.is_connected


async def test_a_bee_that_takes_nothing_is_cut_off_and_others_go_on(
    stack: Stack, tasks: TaskGroup
) -> None:
    """First what feeds it pauses; once it took nothing for `STALL_SECONDS` it is reset."""
    worker = await joined(stack, tasks, "flood", "worker", models=("flood",))
    with stranger_on(stack) as deaf:
        hello = proof(stack, deaf)
        assert answer_to(deaf, hello)[0] == "breath"
        deaf.send(frames.pack(Header("prompt", "r", "flood", seq=1), {"modelId": "flood"}))
        await heard(worker, "prompt")

        for number in range(12_000):
            await worker.send(Tone(chi="chunk", sid="flood", body={"n": number}))
        await worker.settled()

        last = deaf.reply()
        while last[-1][0] != "reset":
            last = deaf.reply()
        assert last[-1][1]["reason"] == Qualifier.QUEUE_OVERFLOW

    with stranger_on(stack) as again:
        again.hello(**{**proof(stack, again), "instance": hello["instance"]})
        ((chi, body),) = again.reply()
        assert (chi, body["settled"], body["resumed"]) == ("breath", 1, False)


async def test_a_stopped_humd_is_waited_for(stack: Stack, tasks: TaskGroup) -> None:
    worker = await joined(stack, tasks, "patient", "worker", models=(MODEL,))
    asker = await joined(stack, tasks, "patient-asker", "asker")
    permits = anyio.Semaphore(AHEAD)

    async def pause() -> None:
        stack.send_signal("humd", signal.SIGSTOP)
        os.sched_yield()
        stack.send_signal("humd", signal.SIGCONT)

    async with anyio.create_task_group() as work:
        work.start_soon(serve_stream, worker, permits)
        numbers = await read_stream(asker, permits, at={20: pause, 90: pause, 150: pause})

    assert numbers == list(range(CHUNKS))
