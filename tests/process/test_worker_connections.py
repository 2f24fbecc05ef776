"""The OpenAI worker's HTTP connections, against a server on a real socket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import pytest

from workers import answers, connections
from workers.connections import (
    BrokenResponse,
    Connections,
    Silent,
    Unreachable,
)

pytestmark = pytest.mark.process

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter
Handler = Callable[[Reader, Writer, int], Awaitable[None]]


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[Connections]:
    """Connections to a server whose n-th connection is handled by `handler(.., n)`."""
    count = 0

    async def connected(reader: Reader, writer: Writer) -> None:
        nonlocal count
        count += 1
        try:
            await handler(reader, writer, count)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    pool = Connections(f"http://127.0.0.1:{port}/v1/", {"X-Key": "k"})
    try:
        yield pool
    finally:
        await pool.close()
        server.close()


async def request_of(reader: Reader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    _, _, length = head.lower().partition(b"content-length: ")
    return head + await reader.readexactly(int(length.split(b"\r\n")[0] or b"0"))


async def whole(pool: Connections, body: bytes = b"") -> tuple[int, bytes]:
    async with pool.exchange("POST", "/x", body) as response:
        parts = []
        while piece := await response.read():
            parts.append(piece)
        return response.status, b"".join(parts)


async def test_a_connection_is_used_again_after_a_body_read_to_its_end() -> None:
    seen: list[tuple[int, bytes]] = []

    async def handle(reader: Reader, writer: Writer, number: int) -> None:
        while True:
            seen.append((number, await request_of(reader)))
            writer.write(OK)

    async with served(handle) as pool:
        assert await whole(pool, b"{}") == (200, b"hi")
        assert await whole(pool) == (200, b"hi")

    assert [number for number, _ in seen] == [1, 1]
    first = seen[0][1]
    assert first.startswith(b"POST /v1/x HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"\r\nX-Key: k\r\n" in first
    assert first.endswith(b"\r\n\r\n{}")


async def test_a_connection_whose_body_was_not_read_is_closed() -> None:
    closed = anyio.Event()

    async def handle(reader: Reader, writer: Writer, number: int) -> None:
        await request_of(reader)
        writer.write(CHUNKED)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        closed.set()

    async with served(handle) as pool:
        async with pool.exchange("GET", "/x") as response:
            assert await response.read() == b"abc"
        await closed.wait()


async def test_a_cancelled_request_closes_its_connection() -> None:
    arrived, closed = anyio.Event(), anyio.Event()

    async def handle(reader: Reader, writer: Writer, number: int) -> None:
        await request_of(reader)
        arrived.set()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        closed.set()

    async with served(handle) as pool, anyio.create_task_group() as tasks:
        tasks.start_soon(whole, pool)
        await arrived.wait()
        tasks.cancel_scope.cancel()
    await closed.wait()


async def test_an_idle_connection_that_the_server_closed_costs_nothing() -> None:
    """The server answers once on each connection, and closes it when the next request has come."""

    async def handle(reader: Reader, writer: Writer, number: int) -> None:
        await request_of(reader)
        writer.write(OK)
        await request_of(reader)

    async with served(handle) as pool:
        assert await whole(pool) == (200, b"hi")
        assert await whole(pool) == (200, b"hi")


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall", b"all"),
        (b"HTTP/1.0 200 OK\r\n\r\nold", b"old"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"hi"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
        (CHUNKED + b"0\r\nTrailer: x\r\n\r\n", b"abc"),
    ],
)
async def test_bodies_end_where_http_says(head: bytes, body: bytes) -> None:
    async def handle(reader: Reader, writer: Writer, number: int) -> None:
        await request_of(reader)
        for at in range(len(head)):
            writer.write(head[at : at + 1])
            await writer.drain()

    async with served(handle) as pool:
        assert await whole(pool) == (200, body)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi",
        CHUNKED,
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nhi",
        b"HTTP/1.1 100 Continue\r\n\r\n" * (connections.HEAD_BYTES_MAX // 10),
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * connections.HEAD_BYTES_MAX + b"\r\n\r\n",
    ],
)
async def test_an_answer_that_breaks_off_or_is_no_http_is_broken(answer: bytes) -> None:
    async def handle(reader: Reader, writer: Writer, number: int) -> None:
        await request_of(reader)
        writer.write(answer)
        await writer.drain()

    async with served(handle) as pool:
        with pytest.raises(BrokenResponse):
            await whole(pool)


async def test_what_nobody_asked_for_is_not_taken_for_the_next_answer() -> None:
    async def handle(reader: Reader, writer: Writer, number: int) -> None:
        await request_of(reader)
        writer.write(OK + OK.replace(b"hi", b"no") if number == 1 else OK)
        await reader.read()

    async with served(handle) as pool:
        assert await whole(pool) == (200, b"hi")
        assert await whole(pool) == (200, b"hi")


async def test_a_server_is_read_from_only_as_fast_as_its_answer_is_read() -> None:
    size, written = 32 * 1024 * 1024, 0

    async def handle(reader: Reader, writer: Writer, number: int) -> None:
        nonlocal written
        await request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        while written < size:
            writer.write(bytes(65_536))
            written += 65_536
            await writer.drain()

    async with served(handle) as pool, pool.exchange("POST", "/x", bytes(1_000_000)) as response:
        await response.read()
        await anyio.wait_all_tasks_blocked()
        assert response.unread_bytes < 2 * answers.UNREAD_BYTES_MAX
        assert written < size
        read = 0
        while piece := await response.read():
            read += len(piece)

    assert read > size // 2
    assert response.is_read


async def test_a_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SILENCE_SECONDS", 0.01)

    async def handle(reader: Reader, writer: Writer, number: int) -> None:
        await reader.read()

    async with served(handle) as pool:
        with pytest.raises(Silent):
            await whole(pool)


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()

    pool = Connections(f"http://127.0.0.1:{port}", {})
    with pytest.raises(Unreachable):
        await whole(pool)
    await pool.close()
