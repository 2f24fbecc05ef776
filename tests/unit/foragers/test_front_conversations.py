"""Conversations at the front: which requests belong together, who waits for whom, what ends one."""

import anyio
import orjson
import pytest
from tests.support.house import HI, LOOK, Client, House, call_tools

from foragers.core import answers as answers_module
from foragers.front import turns as turns_module
from thrum.tones import Tone


async def answered(house: House, client: Client, number: int, text: str) -> Tone:
    """Have the `number`th prompt answered with `text`; the prompt."""
    prompt = await house.bus.next("prompt", number)
    house.bus.text(prompt.sid, text)
    house.bus.finish(prompt.sid)
    await house.ended(client)
    return prompt


def said(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


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
