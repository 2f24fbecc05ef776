"""A model service that does nothing but answer, as fast as one process can.

    python benchmarks/stub_upstream.py [--port 0] [--text pong] [--pieces 1]

It prints its base URL and serves until it is killed: `GET /v1/models` and
`POST /v1/chat/completions`, streamed or whole. Every answer is bytes made before the start. Two
models stream in their own way: `stub-many` sends MANY_EVENTS pieces, each by itself; `stub-open`
sends one piece and then nothing, until the client goes.
"""

import argparse
import asyncio
import contextlib
from typing import cast

import orjson
import uvloop

MODEL = "stub"
MANY = "stub-many"
OPEN = "stub-open"
MANY_EVENTS = 200
USAGE = {"prompt_tokens": 8, "completion_tokens": 2, "total_tokens": 10}


def _response(body: bytes, content_type: str, status: str = "200 OK") -> bytes:
    lines = (
        f"HTTP/1.1 {status}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        "\r\n",
    )
    return "\r\n".join(lines).encode() + body


def _json(value: object, status: str = "200 OK") -> bytes:
    return _response(orjson.dumps(value), "application/json", status)


def _chunk(delta: dict[str, object], finish: str | None, **more: object) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    event = {
        "id": "chatcmpl-stub",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": MODEL,
        "choices": [choice],
    }
    return b"data: " + orjson.dumps(event | more) + b"\n\n"


def _pieces(text: str, count: int) -> list[str]:
    size = max(1, -(-len(text) // count))
    return [text[at : at + size] for at in range(0, len(text), size)]


def _chunked(piece: bytes) -> bytes:
    return f"{len(piece):x}\r\n".encode() + piece + b"\r\n"


_CHUNKED_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)


class Answers:
    """The bytes of every answer."""

    def __init__(self, text: str, pieces: int) -> None:
        names = (MODEL, MANY, OPEN)
        models = [{"id": name, "object": "model", "created": 0} for name in names]
        self.models = _json({"object": "list", "data": models})
        message = {"role": "assistant", "content": text}
        self.whole = _json(
            {
                "id": "chatcmpl-stub",
                "object": "chat.completion",
                "created": 0,
                "model": MODEL,
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": USAGE,
            }
        )
        body = b"".join(
            (
                _chunk({"role": "assistant", "content": ""}, None),
                *(_chunk({"content": piece}, None) for piece in _pieces(text, pieces)),
                _chunk({}, "stop"),
                _chunk({}, None, choices=[], usage=USAGE),
                b"data: [DONE]\n\n",
            )
        )
        self.stream = _response(body, "text/event-stream")
        self.opening = _CHUNKED_HEAD + _chunked(_chunk({"content": "p"}, None))
        self.ending = (
            *(_chunked(_chunk({}, "stop")), _chunked(_chunk({}, None, choices=[], usage=USAGE))),
            _chunked(b"data: [DONE]\n\n") + b"0\r\n\r\n",
        )
        self.piece = _chunked(_chunk({"content": "ong "}, None))
        self.missing = _json({"error": {"message": "no such path"}}, "404 Not Found")


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests may come in any pieces, and several at once."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._buffer = b""
        self._rest: list[bytes] = []
        """Of a long body, what came behind `_buffer`; it is joined once, when it is whole."""
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._missing > len(data):
            self._rest.append(data)
            self._missing -= len(data)
            return
        self._buffer = b"".join((self._buffer, *self._rest, data))
        self._rest.clear()
        self._missing = 0
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            body_at = end + 4
            length = 0
            if (at := head.find(b"content-length:")) >= 0:
                length = int(head[at + 15 :].split(b"\r\n", 1)[0])
            if len(self._buffer) < body_at + length:
                self._missing = body_at + length - len(self._buffer)
                return
            body = self._buffer[body_at : body_at + length]
            self._buffer = self._buffer[body_at + length :]
            if b'"stub-' in body:
                self._transport.write(self._answers.opening)
                if b'"stub-many"' in body:
                    self._many(MANY_EVENTS)
            else:
                self._transport.write(self._answer(head, body))

    def _many(self, left: int) -> None:
        """One piece, and the others behind it, each in a write of its own."""
        if left:
            self._transport.write(self._answers.piece)
            asyncio.get_running_loop().call_soon(self._many, left - 1)
        else:
            self._transport.write(b"".join(self._answers.ending))

    def _answer(self, head: bytes, body: bytes) -> bytes:
        if head.startswith(b"post /v1/chat/completions "):
            is_streamed = b'"stream":true' in body or b'"stream": true' in body
            return self._answers.stream if is_streamed else self._answers.whole
        if head.startswith(b"get /v1/models "):
            return self._answers.models
        return self._answers.missing


async def serve(port: int, answers: Answers) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(answers), "127.0.0.1", port, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description="A model service that only answers.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--text", default="pong")
    parser.add_argument("--pieces", type=int, default=1)
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve(options.port, Answers(options.text, options.pieces)))


if __name__ == "__main__":
    main()
