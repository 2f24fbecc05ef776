"""Results of a client's tools: whose turn they continue, and what of them it is told."""

import orjson
from tests.support.house import HI, LOOK, House, call_tools

from foragers.core.calls import ToolResult


async def test_a_result_that_is_a_failure_is_told_as_one(house: House) -> None:
    """In the dialect that has a word for it."""
    body = {"model": "m", "max_tokens": 9, "tools": [{"name": "look", "input_schema": {}}]}
    first = house.request("POST", "/v1/messages", orjson.dumps({**body, "messages": HI}))
    prompt = await house.bus.next("prompt")
    for name in ("look", "hear"):
        house.bus.say(prompt.sid, "tool-call", callId=name, toolName=name, args={})
    await house.ended(first)
    used = first.json["content"]
    answered = [
        {"type": "tool_result", "tool_use_id": use["id"], "content": "x", "is_error": is_error}
        for use, is_error in zip(used, (True, False), strict=True)
    ]

    turns = [*HI, {"role": "assistant", "content": used}, {"role": "user", "content": answered}]
    house.request("POST", "/v1/messages", orjson.dumps({**body, "messages": turns}))
    await house.bus.next("tool-result", 2)

    told = [tone.body for tone in house.bus.sent if tone.chi == "tool-result"]
    assert [(each["callId"], each.get("isError")) for each in told] == [
        ("look", True), ("hear", None),
    ]  # fmt: skip


async def test_a_waiting_turn_is_found_by_its_own_client_alone(house: House) -> None:
    prompt, (call_id,) = await call_tools(house, house.chat(tools=[LOOK]), "look")
    result = ToolResult(call_id=call_id, text="x")

    assert house.turns.resume([result], object(), "another") is None
    assert house.turns.is_open(str(prompt.sid))
    found = house.turns.resume([result], object(), "")

    assert found is not None
    assert found[0].sid == prompt.sid


async def test_a_result_that_is_more_than_text_is_told_in_a_new_turn(house: House) -> None:
    prompt, (call_id,) = await call_tools(house, house.chat(tools=[LOOK]), "look")
    result = ToolResult(call_id=call_id, text="x", is_plain=False)

    assert house.turns.resume([result], object(), "") is None
    assert (await house.bus.next("cancel")).sid == prompt.sid


async def test_of_two_results_of_one_call_the_newer_counts(house: House) -> None:
    _, (call_id,) = await call_tools(house, house.chat(tools=[LOOK]), "look")
    twice = [ToolResult(call_id=call_id, text=text) for text in ("old", "new")]

    found = house.turns.resume(twice, object(), "")

    assert found is not None
    assert [tone.body["output"] for tone in found[1]] == ["new"]


async def test_a_dialect_without_ids_of_calls_tells_results_in_a_new_turn(house: House) -> None:
    body = {"model": "m", "stream": False, "messages": HI, "tools": [LOOK]}
    client = house.request("POST", "/api/chat", orjson.dumps(body))
    prompt = await house.bus.next("prompt")
    house.bus.say(prompt.sid, "tool-call", callId="w", toolName="look", args={})
    await house.ended(client)

    assert client.json["message"]["tool_calls"][0]["function"]["name"] == "look"
    assert (await house.bus.next("cancel")).sid == prompt.sid
