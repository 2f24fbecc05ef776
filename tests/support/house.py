"""A front with a stand-in for humd, and clients that speak ASGI to it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import orjson
from anyio.abc import TaskGroup

from foragers.front.app import Front
from foragers.front.catalogue import Catalogue
from foragers.front.exchanges import Exchanges
from foragers.front.keys import Keys
from foragers.front.sessions import Sessions
from foragers.front.spool import Spool
from foragers.front.turns import Turns
from nest.bee import Tones
from nest.guard import Message
from nest.listeners import GONE, Gone
from nest.metrics import Registry
from thrum.tones import Tone

_NONE: Mapping[bytes, bytes] = {}
HI = [{"role": "user", "content": "hi"}]
LOOK = {"type": "function", "function": {"name": "look"}}


class Bus:
    """humd as the front sees it: what was sent, and streams that a test writes into."""

    def __init__(self) -> None:
        self.is_connected = True
        self.reset_reason = ""
        self.has_room = True
        self.sent: list[Tone] = []
        self.streams: dict[str, Tones] = {}
        self._news = anyio.Event()

    def post(self, tone: Tone) -> int:
        self.sent.append(tone)
        self._news.set()
        return len(self.sent)

    async def send(self, tone: Tone) -> int:
        return self.post(tone)

    async def joined(self) -> None:
        if not self.is_connected:
            await anyio.sleep_forever()

    @contextmanager
    def stream(self, sid: str) -> Iterator[Tones]:
        self.streams[sid] = Tones(64)
        try:
            yield self.streams[sid]
        finally:
            del self.streams[sid]

    async def next(self, chi: str, number: int = 1) -> Tone:
        """The `number`th tone of this chi, once it has been sent."""
        while True:
            found = [tone for tone in self.sent if tone.chi == chi]
            if len(found) >= number:
                return found[number - 1]
            self._news = anyio.Event()
            await self._news.wait()

    def say(self, sid: str | None, chi: str, **body: Any) -> None:
        assert sid is not None
        self.streams[sid].put(Tone(chi=chi, sid=sid, body=body))

    def text(self, sid: str | None, text: str) -> None:
        self.say(sid, "chunk", chunkType="text_delta", delta=text)

    def finish(self, sid: str | None, reason: str = "end_turn") -> None:
        self.say(sid, "finish", finishReason=reason, usage={"input_tokens": 1, "output_tokens": 1})


class Client:
    """One HTTP request and what came back."""

    def __init__(self, method: str, path: str, body: bytes) -> None:
        self.gone = Gone()
        self.scope = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": [],
            GONE: self.gone,
        }
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.pieces: list[bytes] = []
        self.is_complete = False
        self._body = body
        self._news = anyio.Event()

    async def receive(self) -> Message:
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            assert not self.status
            self.status, self.headers = message["status"], dict(message["headers"])
        else:
            assert not self.is_complete
            self.pieces.append(message["body"])
            self.is_complete = not message.get("more_body", False)
        self._news.set()

    def leave(self) -> None:
        self.gone.set()

    async def piece(self, number: int) -> bytes:
        """The `number`th piece of the body, once it is there."""
        while len(self.pieces) < number:
            self._news = anyio.Event()
            await self._news.wait()
        return self.pieces[number - 1]

    @property
    def text(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def json(self) -> Any:
        return orjson.loads(self.text)


class House:
    """A front with its stand-in for humd."""

    def __init__(self, tasks: TaskGroup, spool_dir: Path) -> None:
        self.bus = Bus()
        self.now = 0.0
        metrics = Registry()
        self.sessions = Sessions(metrics)
        spool = Spool(spool_dir, metrics)
        self.turns = Turns(self.bus, tasks, self.sessions, metrics, now=lambda: self.now)
        self.catalogue = Catalogue(self.bus, now=lambda: self.now)
        chats = Exchanges(
            self.bus, self.turns, self.sessions, spool, self.catalogue, metrics,
            frame_bytes_max=65_536,
        )  # fmt: skip
        keys = Keys(Path("/nonexistent/keys"), metrics, is_needed=False)
        self.front = Front(keys, chats, self.catalogue, metrics)
        self.metrics = metrics
        self._tasks = tasks

    def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[bytes, bytes] = _NONE
    ) -> Client:
        client = Client(method, path, body)
        client.scope["headers"] = list(headers.items())
        self._tasks.start_soon(self.front, client.scope, client.receive, client.send)
        return client

    def chat(self, messages: list[Any] = HI, **fields: Any) -> Client:
        body = orjson.dumps({"model": "m", "messages": messages, **fields})
        return self.request("POST", "/v1/chat/completions", body)

    async def ended(self, client: Client) -> None:
        while not client.is_complete:
            client._news = anyio.Event()
            await client._news.wait()
        await anyio.wait_all_tasks_blocked()


async def call_tools(house: House, client: Client, *names: str) -> tuple[Tone, list[str]]:
    """Have the turn of `client` call tools; the prompt, and the ids that the client was told."""
    prompt = await house.bus.next("prompt")
    for name in names:
        house.bus.say(prompt.sid, "tool-call", callId=f"w-{name}", toolName=name, args={})
    await house.ended(client)
    calls = client.json["choices"][0]["message"]["tool_calls"]
    return prompt, [call["id"] for call in calls]
