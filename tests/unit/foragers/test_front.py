"""The front between a client and humd, with a stand-in for humd: turns, endings, tools, bounds."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import orjson
import pytest
from tests.support.house import HI, LOOK, House, call_tools

from foragers.core.errors import ApiError
from foragers.front import exchanges as exchanges_module
from foragers.front import turns as turns_module
from foragers.front.requests import Bodies, Room
from nest.guard import Message
from thrum.tones import Tone


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


@pytest.mark.parametrize(
    ("told", "status", "said"),
    [
        ({"state": "ok", "why": "", "mend": ""}, 200, "ready"),
        (
            {"state": "full", "why": "no room", "mend": "df"},
            503,
            "the log is full: no room (mend: df)",
        ),
    ],
)
async def test_it_is_ready_while_the_log_takes_what_it_is_offered(
    house: House, told: dict[str, str], status: int, said: str
) -> None:
    clients = [house.request("GET", "/readyz") for _ in range(2)]
    question = await house.bus.next("vitals")
    house.catalogue.take(Tone(chi="vitals", rid=question.rid, body={"log": told}))
    for client in clients:
        await house.ended(client)

    assert question.body == {"ask": "log"}
    assert [(client.status, client.json) for client in clients] == [(status, {"status": said})] * 2
    assert len(house.bus.sent) == 1


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
    monkeypatch.setattr(house.catalogue, "trouble", said(""))

    streamed, whole = house.chat(stream=True), house.chat()
    await house.ended(streamed)
    await house.ended(whole)

    assert streamed.pieces[0] == b": keep-alive\n\n"
    assert b'"error"' in streamed.pieces[-1]
    assert b"[DONE]" not in streamed.text
    assert whole.status == 504
    assert len([tone for tone in house.bus.sent if tone.chi == "cancel"]) == 2


async def test_a_turn_of_a_humd_that_does_not_answer_is_ended_with_its_reason(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchanges_module, "KEEP_ALIVE_SECONDS", 0.01)
    monkeypatch.setattr(exchanges_module, "DOUBT_SECONDS", 0.01)
    monkeypatch.setattr(house.catalogue, "trouble", said("it is frozen"))

    clients = [house.chat(stream=True), house.chat()]
    for client in clients:
        await house.ended(client)

    assert [client.status for client in clients] == [503, 503]
    assert [client.json["error"]["message"] for client in clients] == ["it is frozen"] * 2


async def test_a_humd_that_answers_again_is_not_held_against_a_turn(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchanges_module, "KEEP_ALIVE_SECONDS", 0.01)
    monkeypatch.setattr(exchanges_module, "DOUBT_SECONDS", 0.01)
    monkeypatch.setattr(exchanges_module, "SILENCE_SECONDS_MAX", 0.055)
    monkeypatch.setattr(house.catalogue, "trouble", said("it restarts", "", "it restarts", ""))

    client = house.chat()
    await house.ended(client)

    assert client.status == 504


def said(*answers: str) -> Callable[[], Awaitable[str]]:
    """One answer after the other, then the last again and again."""
    left = list(answers)

    async def answer() -> str:
        return left.pop(0) if len(left) > 1 else left[0]

    return answer


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


async def test_the_estimate_of_a_turn_is_counted_beside_what_the_service_reported(
    house: House,
) -> None:
    client = house.chat()
    prompt = await house.bus.next("prompt")
    house.bus.finish(prompt.sid)
    await house.ended(client)

    counted = next(
        entry
        for entry in house.metrics.snapshot()
        if entry["name"] == "hum_front_input_tokens_total"
    )
    assert counted["samples"] == [
        {"labels": {"by": "estimate"}, "value": prompt.body["account"]["tokens"][0]},
        {"labels": {"by": "service"}, "value": 1},
    ]


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
