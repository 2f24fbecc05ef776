"""The front between a client and humd, with a stand-in for humd: turns, endings, tools, bounds."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest
from anyio.abc import TaskGroup

from foragers.core import answers as answers_module
from foragers.core.errors import ApiError
from foragers.front import exchanges as exchanges_module
from foragers.front import turns as turns_module
from foragers.front.app import Front
from foragers.front.catalogue import Catalogue
from foragers.front.exchanges import Exchanges
from foragers.front.keys import Keys
from foragers.front.requests import Bodies, Room
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
        self.front = Front(self.bus, keys, chats, self.catalogue, metrics)
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


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with anyio.create_task_group() as tasks:
        yield House(tasks, tmp_path / "spool")
        tasks.cancel_scope.cancel()


async def test_a_streamed_turn_is_forwarded_as_it_arrives(house: House) -> None:
    client = house.chat(stream=True)
    prompt = await house.bus.next("prompt")

    house.bus.text(prompt.sid, "Hel")
    first = await client.piece(1)
    house.bus.text(prompt.sid, "lo")
    house.bus.finish(prompt.sid)
    await house.ended(client)

    assert b'"Hel"' in first
    assert client.status == 200
    assert client.headers[b"content-type"].startswith(b"text/event-stream")
    assert client.headers[b"cache-control"] == b"no-cache"
    assert client.headers[b"x-accel-buffering"] == b"no"
    assert len(client.pieces) == 2
    assert client.text.endswith(b"data: [DONE]\n\n")
    assert house.bus.streams == {}


async def test_the_request_id_is_the_prompts_rid(house: House) -> None:
    client = house.chat()
    prompt = await house.bus.next("prompt")

    house.bus.finish(prompt.sid)
    await house.ended(client)

    assert prompt.rid is not None
    assert client.headers[b"x-request-id"] == prompt.rid.encode()


async def test_a_whole_answer_tells_its_length(house: House) -> None:
    client = house.chat()
    prompt = await house.bus.next("prompt")

    house.bus.text(prompt.sid, "Hello")
    house.bus.finish(prompt.sid)
    await house.ended(client)

    assert client.json["choices"][0]["message"]["content"] == "Hello"
    assert client.headers[b"content-length"] == str(len(client.text)).encode()


async def test_two_conversations_that_begin_alike_never_meet(house: House) -> None:
    one, two = house.chat(), house.chat()
    first = await house.bus.next("prompt", 1)
    second = await house.bus.next("prompt", 2)

    house.bus.text(second.sid, "two")
    house.bus.finish(second.sid)
    house.bus.text(first.sid, "one")
    house.bus.finish(first.sid)
    await house.ended(one)
    await house.ended(two)

    assert first.sid != second.sid
    assert one.json["choices"][0]["message"]["content"] == "one"
    assert two.json["choices"][0]["message"]["content"] == "two"


async def test_a_turn_that_fails_before_the_first_byte_has_the_status_of_its_failure(
    house: House,
) -> None:
    """Features D9."""
    client = house.chat(stream=True)
    prompt = await house.bus.next("prompt")

    house.bus.say(prompt.sid, "session-ready", nestId="n", model="m")
    house.bus.say(prompt.sid, "error", message="busy", qualifier="worker.busy")
    await house.ended(client)

    assert client.status == 429
    assert client.headers[b"retry-after"] == b"1"
    assert client.headers[b"x-request-id"] == str(prompt.rid).encode()
    assert client.json["error"]["code"] == "worker.busy"
    assert [tone.chi for tone in house.bus.sent] == ["prompt"]


async def test_a_turn_that_fails_in_the_middle_never_ends_cleanly(house: House) -> None:
    """Features D9."""
    client = house.chat(stream=True)
    prompt = await house.bus.next("prompt")

    house.bus.text(prompt.sid, "Hel")
    await client.piece(1)
    house.bus.text(prompt.sid, "lo")
    house.bus.say(prompt.sid, "error", message="gone", qualifier="worker.lost")
    await house.ended(client)

    assert client.status == 200
    assert b'"lo"' in client.text
    assert b"[DONE]" not in client.text
    last = client.text.rstrip().rsplit(b"data: ", 1)[1]
    assert orjson.loads(last)["error"]["code"] == "worker.lost"


async def test_a_client_that_goes_away_has_its_turn_cancelled(house: House) -> None:
    """Features D10."""
    waiting, reading = house.chat(), house.chat(stream=True)
    await house.bus.next("prompt", 2)
    prompts = list(house.bus.sent)
    house.bus.text(prompts[1].sid, "x")
    await reading.piece(1)

    waiting.leave()
    reading.leave()
    await house.bus.next("cancel", 2)

    cancels = [tone for tone in house.bus.sent if tone.chi == "cancel"]
    assert {tone.sid for tone in cancels} == {tone.sid for tone in prompts}
    assert all(tone.body == {"reason": "client-abort"} for tone in cancels)
    for prompt in prompts:
        house.bus.finish(prompt.sid, "cancelled")
    await anyio.wait_all_tasks_blocked()
    assert house.bus.streams == {}


async def test_a_model_that_does_not_exist_is_answered_with_those_that_do(house: House) -> None:
    client = house.chat()
    prompt = await house.bus.next("prompt")

    house.bus.say(prompt.sid, "error", message="no", qualifier="prompt.no-worker")
    question = await house.bus.next("vitals")
    bees = [{"bee": ["worker"], "models": ["scout"], "connected": True}]
    house.catalogue.take(Tone(chi="vitals", rid=question.rid, body={"bees": bees}))
    await house.ended(client)

    assert question.body == {"ask": "bees"}
    assert client.status == 404
    assert client.json["error"]["code"] == "model_not_found"
    assert "'m'" in client.json["error"]["message"]
    assert "scout" in client.json["error"]["message"]


async def test_models_are_asked_for_once_and_again_when_the_answer_is_old(house: House) -> None:
    bees = [{"bee": ["worker"], "models": ["scout"], "connected": True}]
    clients = [house.request("GET", "/v1/models") for _ in range(3)]

    question = await house.bus.next("vitals")
    await anyio.wait_all_tasks_blocked()
    house.catalogue.take(Tone(chi="vitals", rid="other", body={"bees": []}))
    house.catalogue.take(Tone(chi="vitals", rid=question.rid, body={"bees": bees}))
    for client in clients:
        await house.ended(client)
    house.now += 2
    house.request("GET", "/v1/models/scout")
    await house.bus.next("vitals", 2)

    assert [client.json["data"][0]["id"] for client in clients] == ["scout"] * 3


async def test_without_humd_requests_are_refused_with_when_to_try_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchanges_module, "POST_SECONDS", 0)
    house.bus.is_connected = False

    for client in (house.chat(), house.request("GET", "/v1/models")):
        await house.ended(client)
        assert client.status == 503
        assert client.headers[b"retry-after"] == b"1"
    ready = house.request("GET", "/readyz")
    await house.ended(ready)

    assert ready.status == 503
    assert house.bus.sent == []
    assert house.bus.streams == {}


async def call_tools(house: House, client: Client, *names: str) -> tuple[Tone, list[str]]:
    """Have the turn of `client` call tools; the prompt, and the ids that the client was told."""
    prompt = await house.bus.next("prompt")
    for name in names:
        house.bus.say(prompt.sid, "tool-call", callId=f"w-{name}", toolName=name, args={})
    await house.ended(client)
    calls = client.json["choices"][0]["message"]["tool_calls"]
    return prompt, [call["id"] for call in calls]


def results(ids: list[str]) -> list[Any]:
    told = [{"role": "tool", "tool_call_id": call_id, "content": f"r-{call_id}"} for call_id in ids]
    return [*HI, {"role": "assistant", "content": None}, *told]


async def test_results_of_the_clients_tools_continue_the_same_turn(house: House) -> None:
    first = house.chat(tools=[LOOK])
    prompt, ids = await call_tools(house, first, "look", "hear")
    assert first.json["choices"][0]["finish_reason"] == "tool_calls"
    assert not [tone for tone in house.bus.sent if tone.chi == "cancel"]

    second = house.chat(results(ids), stream=True)
    await house.bus.next("tool-result", 2)
    house.bus.text(prompt.sid, "blue")
    house.bus.finish(prompt.sid)
    await house.ended(second)

    told = [tone for tone in house.bus.sent if tone.chi == "tool-result"]
    assert [tone.body["callId"] for tone in told] == ["w-look", "w-hear"]
    assert [tone.body["output"] for tone in told] == [f"r-{call_id}" for call_id in ids]
    assert {tone.sid for tone in told} == {prompt.sid}
    assert second.headers[b"x-request-id"] == str(told[0].rid).encode()
    assert b'"blue"' in second.text
    assert len([tone for tone in house.bus.sent if tone.chi == "prompt"]) == 1


async def test_a_call_that_comes_after_the_answer_is_told_in_the_next_one(house: House) -> None:
    first = house.chat(tools=[LOOK])
    prompt, ids = await call_tools(house, first, "look")
    house.bus.say(prompt.sid, "tool-call", callId="w-late", toolName="late", args={})

    second = house.chat(results(ids))
    await house.ended(second)

    calls = second.json["choices"][0]["message"]["tool_calls"]
    assert calls[0]["function"]["name"] == "late"
    assert calls[0]["id"] not in ids


async def test_results_nobody_waits_for_are_history_of_a_new_turn(house: House) -> None:
    house.chat(results(["call_unknown"]))

    prompt = await house.bus.next("prompt")

    assert prompt.body["content"] == ""
    assert prompt.body["history"][-1]["tool_call_id"] == "call_unknown"


async def test_a_client_that_mixes_known_and_unknown_results_starts_anew(house: House) -> None:
    first = house.chat(tools=[LOOK])
    prompt, ids = await call_tools(house, first, "look")

    house.chat(results([*ids, "call_unknown"]))
    cancel = await house.bus.next("cancel")
    await house.bus.next("prompt", 2)

    assert cancel.sid == prompt.sid


async def test_missing_results_are_named(house: House) -> None:
    first = house.chat(tools=[LOOK])
    _, ids = await call_tools(house, first, "look", "hear")

    second = house.chat(results(ids[:1]))
    await house.ended(second)
    third = house.chat(results(ids))
    await house.bus.next("tool-result", 2)

    assert second.status == 400
    assert ids[1] in second.json["error"]["message"]
    assert not third.is_complete


async def test_a_turn_whose_client_never_comes_back_is_ended(house: House) -> None:
    first = house.chat(tools=[LOOK])
    prompt, ids = await call_tools(house, first, "look")

    house.now += turns_module.WAITING_SECONDS - 1
    house.turns.expire()
    assert house.bus.sent[-1].chi == "prompt"
    house.now += 1
    house.turns.expire()

    assert (house.bus.sent[-1].chi, house.bus.sent[-1].sid) == ("cancel", prompt.sid)
    house.chat(results(ids))
    await house.bus.next("prompt", 2)


async def test_a_client_that_leaves_once_it_was_told_of_a_call_may_come_back(house: House) -> None:
    first = house.chat(tools=[LOOK], stream=True)
    prompt = await house.bus.next("prompt")
    house.bus.say(prompt.sid, "tool-call", callId="w", toolName="look", args={})
    told = await first.piece(1)
    call_id = orjson.loads(told.split(b"\n\n")[1].removeprefix(b"data: "))["choices"][0]["delta"][
        "tool_calls"
    ][0]["id"]

    first.leave()
    await anyio.wait_all_tasks_blocked()
    house.chat(results([call_id]))
    result = await house.bus.next("tool-result")

    assert result.sid == prompt.sid
    assert not [tone for tone in house.bus.sent if tone.chi == "cancel"]


async def test_only_so_many_turns_wait_and_the_oldest_gives_way(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns_module, "WAITING_MAX", 1)
    first = house.chat(tools=[LOOK])
    prompt, _ = await call_tools(house, first, "look")

    second = house.chat(tools=[LOOK])
    other = await house.bus.next("prompt", 2)
    house.bus.say(other.sid, "tool-call", callId="w", toolName="look", args={})
    await house.ended(second)

    cancel = await house.bus.next("cancel")
    assert cancel.sid == prompt.sid
    house.bus.finish(prompt.sid, "cancelled")
    await anyio.wait_all_tasks_blocked()
    assert list(house.bus.streams) == [other.sid]


async def test_only_so_many_turns_are_open_at_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns_module, "TURNS_MAX", 1)
    house.chat()
    await house.bus.next("prompt")

    second = house.chat()
    await house.ended(second)

    assert second.status == 503


async def test_a_silent_stream_is_kept_alive_and_then_ended(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchanges_module, "KEEP_ALIVE_SECONDS", 0.01)
    monkeypatch.setattr(exchanges_module, "SILENCE_SECONDS_MAX", 0.035)

    streamed, whole = house.chat(stream=True), house.chat()
    await house.ended(streamed)
    await house.ended(whole)

    assert streamed.pieces[0] == b": keep-alive\n\n"
    assert b'"error"' in streamed.pieces[-1]
    assert b"[DONE]" not in streamed.text
    assert whole.status == 504
    assert len([tone for tone in house.bus.sent if tone.chi == "cancel"]) == 2


async def test_a_stream_that_its_reader_cannot_follow_is_cancelled(house: House) -> None:
    client = house.chat(stream=True)
    prompt = await house.bus.next("prompt")

    for _ in range(65):
        house.bus.text(prompt.sid, "x")
    await house.ended(client)

    assert b"queue.overflow" in client.pieces[-1]
    assert b"[DONE]" not in client.text
    assert (await house.bus.next("cancel")).sid == prompt.sid


async def test_a_conversation_too_large_for_the_router_never_reaches_it(house: House) -> None:
    client = house.chat([{"role": "user", "content": "x" * 60_000}])
    await house.ended(client)

    assert client.status == 413
    assert "humd.maxFrameBytes" in client.json["error"]["message"]
    assert house.bus.sent == []


async def test_stopping_cancels_every_turn(house: House) -> None:
    house.chat()
    prompt = await house.bus.next("prompt")

    house.turns.abort_all("shutdown")

    assert house.bus.sent[-1].sid == prompt.sid
    assert house.bus.sent[-1].body == {"reason": "shutdown"}


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/", 200, b"Ollama is running"),
        ("HEAD", "/", 200, b"Ollama is running"),
        ("GET", "/healthz", 200, b"ok"),
        ("GET", "/readyz", 200, b"ready"),
        ("POST", "/chat/completions", 404, b"/v1/chat/completions"),
        ("POST", "/v1/v1/chat/completions", 404, b"may mean /v1/chat/completions"),
        ("GET", "/models", 404, b"may mean /v1/models"),
        ("POST", "/v1/audio", 404, b"/v1/chat/completions, /v1/responses"),
        ("POST", "/messages", 404, b"may mean /v1/messages"),
        ("POST", "/v1/messages", 400, b"invalid_request_error"),
        ("POST", "/v1/messages/count_tokens", 400, b"invalid_request_error"),
        ("POST", "/api/chat", 400, b'{"error":"'),
        ("POST", "/api/pull", 501, b"no meaning"),
        ("GET", "/api/version", 200, b"version"),
        ("GET", "/v1/chat/completions", 405, b"takes POST"),
        ("POST", "/v1/models", 405, b"takes GET"),
        ("POST", "/v1/chat/completions", 400, b"not JSON"),
        ("POST", "/v1/chat/completions/", 400, b"not JSON"),
    ],
)
async def test_every_path_is_answered(
    house: House, method: str, path: str, status: int, text: bytes
) -> None:
    client = house.request(method, path)
    await house.ended(client)

    assert client.status == status
    assert text in client.text


async def test_requests_are_counted_by_route_and_status_and_strangers_grow_nothing(
    house: House,
) -> None:
    for number in range(3):
        await house.ended(house.request("GET", f"/nothing/{number}"))

    counted = next(
        entry for entry in house.metrics.snapshot() if entry["name"] == "hum_front_requests_total"
    )
    assert counted["samples"] == [{"labels": {"route": "other", "status": "404"}, "value": 3}]


async def test_only_so_many_bytes_of_bodies_are_held_and_only_until_they_are_sent() -> None:
    bodies = Bodies(bytes_max=10)
    first, second = Room(bodies), Room(bodies)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"123456", "more_body": False}

    assert await first.read(receive) == b"123456"
    with pytest.raises(ApiError) as caught:
        await second.read(receive)
    second.close()
    first.close()
    first.close()

    assert caught.value.status == 503
    assert await second.read(receive) == b"123456"


def said(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


async def answered(house: House, client: Client, number: int, text: str) -> Tone:
    """Have the `number`th prompt answered with `text`; the prompt."""
    prompt = await house.bus.next("prompt", number)
    house.bus.text(prompt.sid, text)
    house.bus.finish(prompt.sid)
    await house.ended(client)
    return prompt


async def test_a_conversation_keeps_its_sid_and_a_fork_gets_another(house: House) -> None:
    """hives 11.7.5."""
    first = await answered(house, house.chat(stream=True), 1, "one")
    told = [*HI, said("one"), *HI]
    second = await answered(house, house.chat(told), 2, "two")
    fork = await answered(house, house.chat(told), 3, "else")
    third = await answered(house, house.chat([*told, said("two"), *HI]), 4, "three")

    assert first.sid == second.sid == third.sid
    assert fork.sid != first.sid
    assert third.body["history"] == [*told, said("two")]


async def test_two_that_repeat_the_same_at_once_do_not_share_a_sid(house: House) -> None:
    await answered(house, house.chat(), 1, "one")
    told = [*HI, said("one"), *HI]

    clients = [house.chat(told), house.chat(told)]
    prompts = [await house.bus.next("prompt", number) for number in (2, 3)]
    for prompt in prompts:
        house.bus.text(prompt.sid, str(prompt.sid))
        house.bus.finish(prompt.sid)
    for client in clients:
        await house.ended(client)

    assert prompts[0].sid != prompts[1].sid
    heard = [client.json["choices"][0]["message"]["content"] for client in clients]
    assert heard == [prompt.sid for prompt in prompts]


async def test_a_conversation_that_failed_is_gone_on_with(house: House) -> None:
    first = await answered(house, house.chat(), 1, "one")
    told = [*HI, said("one"), *HI]
    failed = house.chat(told)
    prompt = await house.bus.next("prompt", 2)
    house.bus.say(prompt.sid, "error", message="busy", qualifier="worker.busy")
    await house.ended(failed)

    again = await answered(house, house.chat(told), 3, "two")

    assert first.sid == prompt.sid == again.sid


def named(house: House, name: bytes, system: str, stream: bool = False) -> Client:
    messages = [{"role": "system", "content": system}, *HI]
    body = orjson.dumps({"model": "m", "messages": messages, "stream": stream})
    return house.request("POST", "/v1/chat/completions", body, {b"x-session-id": name})


async def test_requests_of_a_named_conversation_wait_for_each_other_and_a_title_does_not(
    house: House,
) -> None:
    """hives 11.7.6, 11.8."""
    one, two = named(house, b"s", "main"), named(house, b"s", "main")
    title = named(house, b"s", "title")
    first = await house.bus.next("prompt", 1)
    aside = await house.bus.next("prompt", 2)
    await anyio.wait_all_tasks_blocked()
    assert [tone.chi for tone in house.bus.sent] == ["prompt", "prompt"]

    house.bus.text(first.sid, "1")
    house.bus.finish(first.sid)
    await house.ended(one)
    second = await answered(house, two, 3, "2")
    house.bus.text(aside.sid, "t")
    house.bus.finish(aside.sid)
    await house.ended(title)

    assert first.sid == second.sid != aside.sid
    heard = [client.json["choices"][0]["message"]["content"] for client in (one, two, title)]
    assert heard == ["1", "2", "t"]


async def test_the_last_words_of_a_cancelled_turn_are_not_heard_by_the_next(house: House) -> None:
    left = named(house, b"s", "main", stream=True)
    first = await house.bus.next("prompt", 1)
    house.bus.text(first.sid, "x")
    await left.piece(1)
    left.leave()
    await house.bus.next("cancel", 1)

    again = named(house, b"s", "main")
    await anyio.wait_all_tasks_blocked()
    assert len([tone for tone in house.bus.sent if tone.chi == "prompt"]) == 1
    house.bus.text(first.sid, "late")
    house.bus.finish(first.sid, "cancelled")
    second = await answered(house, again, 2, "two")

    assert first.sid == second.sid
    assert again.json["choices"][0]["message"]["content"] == "two"


async def test_a_worker_that_does_not_end_a_cancelled_turn_loses_the_conversation(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns_module, "ENDING_SECONDS", 0.0)
    left = named(house, b"s", "main")
    first = await house.bus.next("prompt", 1)
    left.leave()
    await house.bus.next("cancel", 1)

    second = await answered(house, named(house, b"s", "main"), 2, "two")

    assert second.sid == f"{first.sid}-1"


async def test_who_leaves_while_it_waits_for_its_conversation_starts_nothing(house: House) -> None:
    named(house, b"s", "main")
    first = await house.bus.next("prompt", 1)
    waiting = named(house, b"s", "main")
    await anyio.wait_all_tasks_blocked()

    waiting.leave()
    await anyio.wait_all_tasks_blocked()
    house.bus.finish(first.sid)
    await anyio.wait_all_tasks_blocked()

    assert [tone.chi for tone in house.bus.sent] == ["prompt"]
    assert not waiting.pieces
    assert house.bus.streams == {}


async def test_only_so_many_requests_wait_for_one_conversation(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns_module, "LANE_MAX", 1)
    named(house, b"s", "main")
    await house.bus.next("prompt", 1)
    named(house, b"s", "main")
    await anyio.wait_all_tasks_blocked()

    refused = named(house, b"s", "main")
    await house.ended(refused)

    assert refused.status == 429
    assert refused.json["error"]["code"] == "conversation_busy"
    assert refused.headers[b"retry-after"] == b"1"


async def test_a_named_conversation_that_goes_another_way_ends_the_turn_that_waits_for_tools(
    house: House,
) -> None:
    headers = {b"x-session-id": b"s"}
    body = orjson.dumps({"model": "m", "messages": HI, "tools": [LOOK]})
    first = house.request("POST", "/v1/chat/completions", body, headers)
    prompt, _ = await call_tools(house, first, "look")

    other = house.request("POST", "/v1/chat/completions", body, headers)
    await house.bus.next("cancel", 1)
    house.bus.finish(prompt.sid, "cancelled")
    second = await answered(house, other, 2, "two")

    assert second.sid == prompt.sid


async def test_an_answer_past_its_bound_has_its_turn_cancelled(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers_module, "CALLS_MAX", 1)
    client = house.chat(tools=[LOOK])
    prompt = await house.bus.next("prompt")
    for number in range(2):
        house.bus.say(prompt.sid, "tool-call", callId=f"w{number}", toolName="look", args={})
    await house.ended(client)

    assert client.status == 502
    assert (await house.bus.next("cancel")).sid == prompt.sid
