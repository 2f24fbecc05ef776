"""The clients of the original system as the door sees them: what each writes, and how it reads.

Each entry keeps the quirks of its program: what its hello says and leaves out, whether its prompt
has a rid, which form of a text chunk it reads, how it cuts the bytes it gets into lines, and what
it does with its socket afterwards. Nothing here uses the project.
"""

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

REPLY_SECONDS = 20.0
LIMIT_64K = 64 * 1024
"""What asyncio's readers take as the longest line unless told otherwise."""
ODD_READ_BYTES = 61

Flat = dict[str, Any]


def _flat_text(tone: Flat) -> str:
    """Chunks by `chunkType` and `delta`."""
    return str(tone["delta"]) if tone.get("chunkType") == "text_delta" else ""


def _part_text(tone: Flat) -> str:
    """Chunks by `part`."""
    part = tone.get("part")
    return str(part["text"]) if isinstance(part, dict) and part["type"] == "text" else ""


def _by_line(link: socket.socket) -> Iterator[bytes]:
    """One line after the other, as long as they come."""
    with link.makefile("rb") as file:
        yield from file


def _by_read(link: socket.socket) -> Iterator[bytes]:
    """Each read from the socket decoded by itself, as some programs do; and short reads."""
    text = ""
    while data := link.recv(ODD_READ_BYTES):
        text += data.decode()
        *lines, text = text.split("\n")
        yield from (line.encode() for line in lines)


def _by_limited_line(link: socket.socket) -> Iterator[bytes]:
    """Lines of at most 64 KiB; a longer one ends the reader."""
    for line in _by_line(link):
        if len(line) > LIMIT_64K:
            raise ValueError("Separator is found, but chunk is longer than limit")
        yield line


@dataclass(frozen=True)
class Original:
    """One program."""

    name: str
    hello: Flat | None
    text_of: Callable[[Flat], str]
    lines: Callable[[socket.socket], Iterator[bytes]] = _by_line
    prompt: Flat = field(default_factory=dict)
    has_rid: bool = True
    """Whether its prompt has a rid, another one each time."""
    half_closes: bool = False
    """It shuts its writing side once the prompt is written."""


def _forager(name: str, **fields: Any) -> Flat:
    hid = f"fbee_{name.encode().hex():0<64.64}"
    return {"bee": ["forager"], "from": name, "hive": name, "hid": hid, **fields}


OLLAMA_HELLO: Flat = {
    "rid": "hello-0b0e7f3e-1111-4222-8333-944445555666",
    "from": "ollama-server",
    "bee": "ollama-server",
    "propensity": {"statefulness": "convention-stateful", "richness": "medium"},
    "chis": ["hello", "prompt", "cancel", "chunk", "finish", "error", "tool-call", "tool-result"],
    "bind": {"host": "127.0.0.1", "port": 11434, "scheme": "http"},
}
"""A string for `bee`, no hive, no hid."""

ORIGINALS = (
    Original(
        "openai-server",
        _forager("openai-server", rid="openai-server", provides=["session"]),
        _flat_text,
        _by_read,
        {"hive": "openai-server", "sampling": {"temperature": 0.5}},
        has_rid=False,
    ),
    Original(
        "anthropic-server",
        _forager("anthropic-server", rid="anthropic-server", provides=["session"]),
        _part_text,
        _by_read,
        {"tools": []},
    ),
    Original("ollama-server", OLLAMA_HELLO, _part_text, half_closes=True),
    Original(
        "vercel-ai",
        _forager("vercel-ai", rid="vercel-ai", provides=["session"]),
        _flat_text,
        _by_read,
        {"tools": [{"name": "t", "parameters": {"type": "object"}}]},
        has_rid=False,
    ),
    Original(
        "twilio-sms",
        _forager("twilio-sms", rid="twilio-sms", version="0.0.0"),
        _part_text,
        _by_read,
    ),
    Original(
        "gsm-modem",
        {"from": "gsm-modem", "bee": ["forager"], "hid": f"fbee_{'9' * 64}", "rid": "g-1"},
        _part_text,
    ),
    Original(
        "bp7",
        {"from": "bp7-forager", "bee": ["forager"], "hid": "", "rid": "b-1"},
        _part_text,
    ),
    Original(
        "grpc",
        {"from": "grpc-forager", "bee": ["forager"], "hid": "", "rid": "grpc"},
        _flat_text,
    ),
    Original("python client", None, _flat_text, _by_limited_line),
    Original("a script that never says hello", None, _part_text, has_rid=False),
)

WORKER_FORMS: dict[str, Callable[[str], Flat]] = {
    "flat": lambda text: {"chunkType": "text_delta", "blockIdx": 0, "delta": text},
    "part": lambda text: {"part": {"type": "text", "text": text}, "index": 0},
}
"""How a worker may write text: as the original one does, or as the original document says."""


def rust_worker_hello(name: str, model: str) -> Flat:
    """The hello of the original worker: no rid, and its hid in `from`."""
    hid = f"wbee_{name.encode().hex():0<64.64}"
    return {
        "chi": "hello",
        "bee": ["worker"],
        "hid": hid,
        "from": hid,
        "hive": name,
        "version": "0.31.18",
        "protoVersion": "0.7.0",
        "models": [model],
        "propensity": {"statefulness": "stateful_session", "wire": "claude-cli"},
        "chis": ["hello", "prompt", "cancel", "tool-result", "chunk", "finish", "error"],
        "source": "",
    }


class Talk:
    """One connection of an original client, from its hello to the end of a turn."""

    def __init__(self, original: Original, path: Path) -> None:
        self._original = original
        self.link = socket.socket(socket.AF_UNIX)
        self.link.settimeout(REPLY_SECONDS)
        self.link.connect(str(path))
        self.heard: list[Flat] = []
        if original.hello is not None:
            self.say({"chi": "hello", "protoVersion": "0.7.0", **original.hello})

    def say(self, tone: Flat) -> None:
        self.link.sendall(json.dumps(tone).encode() + b"\n")

    def prompt(self, sid: str, model: str) -> None:
        """Ask, and do to the socket what this program does then."""
        rid = {"rid": f"r-{sid}"} if self._original.has_rid else {}
        content = {"sid": sid, "modelId": model, "content": "hi"}
        self.say({"chi": "prompt", **rid, **content, **self._original.prompt})
        if self._original.half_closes:
            self.link.shutdown(socket.SHUT_WR)

    def answer(self, sid: str) -> tuple[str, str]:
        """The text that this program shows, and the reason why the turn ended."""
        text = ""
        for line in self._original.lines(self.link):
            tone = orjson.loads(line)
            self.heard.append(tone)
            if tone.get("sid") != sid:
                continue
            if tone["chi"] == "chunk":
                text += self._original.text_of(tone)
            elif tone["chi"] == "finish":
                return text, tone["finishReason"]
        raise EOFError(f"the door closed before the turn of {self._original.name} ended")

    def close(self) -> None:
        self.link.close()
