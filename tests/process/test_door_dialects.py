"""Bees of the original system on the real socket: every dialect they speak is served.

Thrum 15.7 and 15.8, and section 4 on what clients may leave out. Each test has models and sids of
its own, so that all share one stack.
"""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, closing

import orjson
import pytest
from tests.support.ndjson import Client, Flat
from tests.support.originals import (
    LIMIT_64K,
    OLLAMA_HELLO,
    ORIGINALS,
    WORKER_FORMS,
    Original,
    Talk,
    rust_worker_hello,
)
from tests.support.stack import Stack

pytestmark = pytest.mark.process

PIECES = ("Grüße, ", "☕ and 🐝", " HELLO")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack() as stack:
        yield stack


def worker(stack: Stack, model: str) -> Client:
    """The original worker, registered."""
    client = stack.client()
    client.send(**rust_worker_hello(model, model))
    assert [client.read()["chi"] for _ in range(2)] == ["breath", "breath"], "no rid, no echo"
    return client


def manifest(stack: Stack, name: str) -> Flat:
    """The entry of a bee in bees.json, once it is there."""
    stack.wait_bee(name)
    bees: dict[str, Flat] = orjson.loads(stack.paths.bees_json.read_bytes())
    return next(bee for bee in bees.values() if bee["name"] == name)


@pytest.mark.parametrize("form", WORKER_FORMS)
@pytest.mark.parametrize("original", ORIGINALS, ids=lambda original: original.name)
def test_every_original_client_shows_the_text_of_every_worker(
    stack: Stack, original: Original, form: str
) -> None:
    """Thrum 15.7 and 15.8; 7.4: whichever form the worker writes and the client reads."""
    model = sid = f"{original.name} {form}"
    with worker(stack, model) as serving, closing(Talk(original, stack.paths.thrum_socket)) as talk:
        talk.prompt(sid, model)
        prompt = serving.read_until("prompt", sid=sid)
        for piece in PIECES:
            serving.send(chi="chunk", sid=sid, **WORKER_FORMS[form](piece))
        serving.send(chi="finish", sid=sid, finishReason="end_turn")

        assert prompt["content"] == "hi"
        assert talk.answer(sid) == ("".join(PIECES), "end_turn")
        rids = [(original.hello or {}).get("rid"), f"r-{sid}" if original.has_rid else None]
        echoed = [tone["rid"] for tone in talk.heard if tone["chi"] == "echo"]
        assert echoed == [rid for rid in rids if rid is not None]


def test_a_bee_that_says_what_it_is_with_a_string_is_registered(stack: Stack) -> None:
    """Thrum 5.1, D17: one original hive sends its name there, and neither hive nor hid."""
    with stack.client() as client:
        client.send(chi="hello", **OLLAMA_HELLO)
        assert client.read_until("echo")["ok"] is True

        found = manifest(stack, "ollama-server")

    assert found["bee"] == ["ollama-server"]
    assert found["bind"] == OLLAMA_HELLO["bind"]
    assert "hid" not in found


def test_a_worker_that_says_so_with_a_string_is_given_prompts(stack: Stack) -> None:
    with stack.client() as serving, stack.client() as asker:
        hello = rust_worker_hello("stringy", "stringy")
        serving.send(**{**hello, "bee": "worker"})
        manifest(stack, "stringy")

        asker.send(chi="prompt", sid="stringy", modelId="stringy", text="flat alias")

        assert serving.read_until("prompt")["content"] == "flat alias"


@pytest.mark.parametrize("version", ["0.6.0", "0.8.0", "0.7.99", "", "1.0.0", "not a version"])
def test_another_version_of_the_wire_is_served(stack: Stack, version: str) -> None:
    """Features A6: one behind and one ahead in silence, another major one with one clear error."""
    name = f"speaks {version}"
    with stack.client() as serving, stack.client() as asker:
        serving.send(**{**rust_worker_hello(name, name), "protoVersion": version})
        asker.send(chi="prompt", rid="p", sid=name, modelId=name, content="hi")
        asker.read_until("echo", rid="p")
        heard = [serving.read()]
        while heard[-1]["chi"] != "prompt":
            heard.append(serving.read())

    errors = [tone["qualifier"] for tone in heard if tone["chi"] == "error"]
    assert errors == (["version.skew"] if version in ("1.0.0", "not a version") else [])


def test_a_second_hello_replaces_the_first_and_each_is_answered(stack: Stack) -> None:
    """Thrum 5.2: one manifest for one connection, the newer; a running turn goes on."""
    with worker(stack, "before") as serving, stack.client() as asker:
        asker.send(chi="prompt", sid="twice", modelId="before", content="hi")
        serving.read_until("prompt", sid="twice")

        hello = {**rust_worker_hello("before", "after"), "rid": "again"}
        serving.send(**hello)

        assert [serving.read()["chi"] for _ in range(2)] == ["echo", "breath"]
        stack.wait_for(lambda: manifest(stack, "before")["models"] == ["after"], "newer manifest")
        assert stack.hives().count("before") == 1
        serving.send(chi="finish", sid="twice", finishReason="end_turn")
        assert asker.read_until("finish")["sid"] == "twice"
        asker.send(chi="prompt", sid="old model", modelId="before", content="hi")
        assert asker.read_until("error")["qualifier"] == "prompt.no-worker"
        asker.send(chi="prompt", sid="new model", modelId="after", content="hi")
        assert serving.read_until("prompt")["sid"] == "new model"


def test_one_more_connection_for_each_request_leaves_the_turns_alone(stack: Stack) -> None:
    """Thrum 4.6: one original hive says hello again on a new connection for each HTTP request."""
    original = next(one for one in ORIGINALS if one.name == "anthropic-server")
    with worker(stack, "leaky") as serving, ExitStack() as open_talks:
        sids = [f"leaky {number}" for number in range(5)]
        talks = {
            sid: open_talks.enter_context(closing(Talk(original, stack.paths.thrum_socket)))
            for sid in sids
        }
        for sid, talk in talks.items():
            talk.say({"chi": "prompt", "sid": sid, "modelId": "leaky", "text": "x"})
            serving.read_until("prompt", sid=sid)
        for sid in reversed(sids):
            serving.send(chi="chunk", sid=sid, **WORKER_FORMS["flat"](sid))
            serving.send(chi="finish", sid=sid, finishReason="end_turn")

        assert [talk.answer(sid)[0] for sid, talk in talks.items()] == sids
        stack.wait_for(lambda: stack.hives().count(original.name) == 1, "one entry for one hid")


def test_when_the_newest_connection_of_a_hid_ends_the_one_before_it_is_the_bee(
    stack: Stack,
) -> None:
    """Humd 5.1: the tools of a hive do not vanish while it is still connected."""
    tools = [{"name": "kept", "description": "", "inputSchema": None}]
    hello = {"chi": "hello", "hive": "two-of-one", "hid": f"fbee_{'2' * 64}", "bee": ["forager"]}
    with stack.client() as first, stack.client() as asker:
        first.send(**hello, tools=tools)
        with stack.client() as second:
            second.send(**hello, version="2.0.0")
            stack.wait_for(lambda: manifest(stack, "two-of-one")["version"] == "2.0.0", "newer")

        stack.wait_for(lambda: manifest(stack, "two-of-one")["version"] == "0.0.0", "older again")
        asker.send(chi="tool-call", sid="kept", callId="c", name="kept", args={})
        assert first.read_until("tool-call")["callId"] == "c"
        first.send(chi="tool-result", callId="c", output="here")
        assert asker.read_until("tool-result")["output"] == "here"


def test_a_half_closed_client_hears_the_end_of_its_turn_when_the_worker_dies(stack: Stack) -> None:
    original = next(one for one in ORIGINALS if one.half_closes)
    with closing(Talk(original, stack.paths.thrum_socket)) as talk:
        with worker(stack, "doomed") as serving:
            talk.prompt("doomed", "doomed")
            serving.read_until("prompt", sid="doomed")

        heard = map(orjson.loads, original.lines(talk.link))
        error = next(tone for tone in heard if tone["chi"] == "error")

    assert (error["qualifier"], error["sid"]) == ("worker.lost", "doomed")


async def test_a_reader_with_asyncios_limit_reads_whatever_can_be_divided(stack: Stack) -> None:
    """Thrum 1: text, reasoning and the input of a tool arrive in lines below 64 KiB, whole."""
    wanted = {
        "text_delta": "ä☕" * 60_000,
        "reasoning_delta": "hm " * 60_000,
        "tool_input_delta": '{"n":[' + "1," * 90_000,
    }
    with worker(stack, "long") as serving:
        reader, writer = await asyncio.open_unix_connection(str(stack.paths.thrum_socket))
        asked = {"chi": "prompt", "sid": "long", "modelId": "long", "content": "hi"}
        writer.write(orjson.dumps(asked) + b"\n")
        await asyncio.to_thread(serving.read_until, "prompt")
        for kind, text in wanted.items():
            key = "partialJson" if kind == "tool_input_delta" else "delta"
            serving.send(chi="chunk", sid="long", chunkType=kind, **{key: text})
        serving.send(chi="finish", sid="long", finishReason="end_turn")

        found = dict.fromkeys(wanted, "")
        while (tone := orjson.loads(await reader.readline()))["chi"] != "finish":
            if tone["chi"] == "chunk":
                found[tone["chunkType"]] += tone.get("delta", tone.get("partialJson"))
        writer.close()

    assert found == wanted


async def test_the_reader_of_the_test_above_does_end_at_a_longer_line(stack: Stack) -> None:
    """What cannot be divided goes in one line, and asyncio's limit is real."""
    with worker(stack, "lump") as serving:
        reader, writer = await asyncio.open_unix_connection(str(stack.paths.thrum_socket))
        asked = {"chi": "prompt", "sid": "lump", "modelId": "lump", "content": "hi"}
        writer.write(orjson.dumps(asked) + b"\n")
        await asyncio.to_thread(serving.read_until, "prompt")
        serving.send(chi="chunk", sid="lump", chunkType="tool_result", result="x" * LIMIT_64K)

        with pytest.raises(ValueError, match="limit"):
            await read_to_the_end(reader)
        writer.close()


async def read_to_the_end(reader: asyncio.StreamReader) -> None:
    while await reader.readline():
        pass
