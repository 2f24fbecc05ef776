"""The AI SDK (npm `ai`) with its OpenAI, compatible and Anthropic providers (features D16).

`tests/node/drive.mjs` makes the calls; `scripts/test-packages` brings the packages where npm is.
"""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.support.upstream import Answer, Fault, ScriptedUpstream, WantedCall, vector_of

HOME = Path(__file__).parents[1] / "node"

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
    pytest.mark.skipif(
        not (HOME / "node_modules" / "ai").is_dir(),
        reason="npm has not brought the AI SDK; scripts/test-packages does",
    ),
]

PROVIDERS = ("chat", "responses", "compatible", "anthropic")
HI: Any = [{"role": "user", "content": "hi"}]
PIXEL = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


class Driver:
    """The SDK in a process of its own, one call at a time."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self.url = ""

    def ask(self, act: str, provider: str = "chat", **more: Any) -> dict[str, Any]:
        asked = {"url": self.url, "act": act, "provider": provider, "messages": HI, **more}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(orjson.dumps(asked) + b"\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = orjson.loads(self._process.stdout.readline())
        return answer


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    process = subprocess.Popen(
        ["node", str(HOME / "drive.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        yield Driver(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) == 0


@pytest.fixture
def sdk(driver: Driver, front_url: str) -> Driver:
    driver.url = front_url
    return driver


@pytest.fixture
def upstream(chat_upstream: ScriptedUpstream) -> ScriptedUpstream:
    return chat_upstream


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("act", ["generate", "stream"])
def test_text_reason_and_usage(
    sdk: Driver, upstream: ScriptedUpstream, provider: str, act: str
) -> None:
    upstream.script(Answer(pieces=("Hel", "lo"), usage=(10, 2)))

    answer = sdk.ask(act, provider)

    assert (answer["ok"], answer["text"], answer["finish"]) == (True, "Hello", "stop"), answer
    assert answer["usage"] == [10, 2, 12]
    if act == "stream":
        assert "".join(answer["pieces"]) == "Hello"
    assert upstream.requests[0]["messages"][-1]["role"] == "user"


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("is_stream", [False, True])
def test_parallel_calls_are_made_and_their_results_come_back(
    sdk: Driver, upstream: ScriptedUpstream, provider: str, is_stream: bool
) -> None:
    wanted = (WantedCall("c1", "look", {"at": "x"}), WantedCall("c2", "hear", {"at": "y"}))
    upstream.script(Answer(pieces=("Let me see.",), calls=wanted), Answer(pieces=("Blue.",)))

    answer = sdk.ask("tools", provider, stream=is_stream)

    assert (answer["ok"], answer["text"], answer["finish"]) == (True, "Blue.", "stop"), answer
    assert answer["steps"] == [[["look", {"at": "x"}], ["hear", {"at": "y"}]], []]
    told = [entry for entry in upstream.requests[1]["messages"] if entry["role"] == "tool"]
    assert [entry["content"] for entry in told] == ["look at x", "hear at y"]


@pytest.mark.parametrize("provider", ["compatible", "anthropic"])
@pytest.mark.parametrize("act", ["generate", "stream"])
def test_reasoning_is_told_apart_from_text(
    sdk: Driver, upstream: ScriptedUpstream, provider: str, act: str
) -> None:
    upstream.script(Answer(reasoning=("Hm", "m."), pieces=("Hello",)))
    thinking = {"thinking": {"type": "enabled", "budgetTokens": 1_024}}
    options = {"maxOutputTokens": 3_000, "providerOptions": {"anthropic": thinking}}

    answer = sdk.ask(act, provider, options=options)

    assert (answer["ok"], answer["reasoning"], answer["text"]) == (True, "Hmm.", "Hello"), answer


@pytest.mark.parametrize("provider", ["chat", "responses", "compatible"])
def test_an_object_is_made_to_a_schema(
    sdk: Driver, upstream: ScriptedUpstream, provider: str
) -> None:
    upstream.script(Answer(pieces=('{"color":', '"blue"}')))

    answer = sdk.ask("object", provider)

    assert answer == {"ok": True, "object": {"color": "blue"}}
    asked = upstream.requests[0]["response_format"]
    assert asked["type"] == "json_schema"
    assert asked["json_schema"]["schema"]["properties"] == {"color": {"type": "string"}}


def test_texts_are_embedded(sdk: Driver) -> None:
    answer = sdk.ask("embed", texts=["hi", "there"])

    assert answer == {"ok": True, "embeddings": [vector_of("hi"), vector_of("there")], "tokens": 2}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_picture_reaches_the_model(
    sdk: Driver, upstream: ScriptedUpstream, provider: str
) -> None:
    image = {"type": "image", "image": PIXEL, "mediaType": "image/gif"}
    content = [{"type": "text", "text": "what is this?"}, image]

    answer = sdk.ask("generate", provider, messages=[{"role": "user", "content": content}])

    assert answer["ok"], answer
    _, seen = upstream.requests[0]["messages"][-1]["content"]
    assert seen["image_url"]["url"] == f"data:image/gif;base64,{PIXEL}"


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("act", ["generate", "stream"])
def test_a_refusal_keeps_status_and_words(
    sdk: Driver, upstream: ScriptedUpstream, provider: str, act: str
) -> None:
    upstream.script(Answer(status=400, message="too hot"))

    answer = sdk.ask(act, provider)

    assert (answer["ok"], answer["name"], answer["status"]) == (False, "AI_APICallError", 400)
    assert "too hot" in answer["message"]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_break_in_the_middle_never_looks_complete(
    sdk: Driver, upstream: ScriptedUpstream, provider: str
) -> None:
    upstream.script(Answer(pieces=("Hel", "lo"), fault=Fault.RESET_IN_TEXT))

    answer = sdk.ask("stream", provider)

    assert not answer["ok"] or answer["finish"] == "error", answer


@pytest.mark.parametrize("provider", PROVIDERS)
def test_who_leaves_cancels_the_model(
    sdk: Driver, upstream: ScriptedUpstream, provider: str
) -> None:
    hanging = Answer(pieces=("Hel", "lo"), fault=Fault.HANG_IN_TEXT)
    upstream.script(hanging)

    answer = sdk.ask("leave", provider)

    assert answer == {"ok": True, "first": "Hel"}
    assert hanging.client_closed.wait(10)
