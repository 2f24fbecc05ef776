"""Several services and aliases behind one worker (features D9, D14)."""

from collections.abc import Iterator
from typing import Any

import openai
import orjson
import pytest
from tests.support.front import port_of
from tests.support.stack import CORE, QUIET_SETTINGS, Stack
from tests.support.upstream import Answer, Fault, ScriptedUpstream

pytestmark = pytest.mark.process

HI: Any = [{"role": "user", "content": "hi"}]


class Served:
    """Two services, the stack in front of them, and a client."""

    def __init__(self, one: ScriptedUpstream, two: ScriptedUpstream, stack: Stack) -> None:
        self.one, self.two, self.stack = one, two, stack
        self.client = openai.OpenAI(
            base_url=f"http://127.0.0.1:{port_of(stack)}/v1", api_key="none", max_retries=0
        )

    def ask(self, model: str, *, is_stream: bool = False) -> Any:
        made = self.client.chat.completions
        return made.with_raw_response.create(model=model, messages=HI, stream=is_stream)

    def events(self, chi: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for segment in sorted(self.stack.paths.thehum.glob("0*.ndjson")):
            lines = segment.read_bytes().rstrip(b"\0").split(b"\n")
            found += [orjson.loads(line) for line in lines if line.endswith(b"}")]
        return [event for event in found if event["chi"] == chi]


@pytest.fixture(scope="module")
def running() -> Iterator[Served]:
    with ScriptedUpstream(("big", "small")) as one, ScriptedUpstream(("small", "spare")) as two:
        section = {
            "baseUrl": one.base_url,
            "services": [{"name": "other", "baseUrl": two.base_url}],
            "aliases": [
                {"name": "smart", "models": ["big", "spare"]},
                {"name": "lonely", "models": ["nobody"]},
            ],
        }
        settings = {**QUIET_SETTINGS, "workers": {"openai": section}}
        with Stack(services=(*CORE, "front"), settings=settings) as stack:
            stack.start("openai")
            stack.wait_bee("openai")
            stack.wait_bee("front")
            yield Served(one, two, stack)


@pytest.fixture
def served(running: Served) -> Served:
    running.one.forget()
    running.two.forget()
    return running


def test_every_model_is_there_under_its_names(served: Served) -> None:
    names = {model.id for model in served.client.models.list()}

    assert names == {"smart", "big", "small", "other/small", "spare", "other/spare"}


@pytest.mark.parametrize(
    ("name", "place", "model"),
    [("small", "one", "small"), ("other/small", "two", "small"), ("spare", "two", "spare")],
)
def test_each_name_reaches_its_service(served: Served, name: str, place: str, model: str) -> None:
    served.ask(name)

    asked = {"one": served.one.requests, "two": served.two.requests}
    assert [request["model"] for request in asked.pop(place)] == [model]
    assert list(asked.values()) == [[]]


@pytest.mark.parametrize("is_stream", [False, True])
def test_the_next_model_of_an_alias_answers_and_everybody_is_told(
    served: Served, is_stream: bool
) -> None:
    served.one.otherwise = Answer(status=503, message="overloaded")
    served.two.script(Answer(pieces=("I am ", "spare.")))

    answer = served.ask("smart", is_stream=is_stream)

    assert answer.headers["x-hum-fallback"] == "spare"
    if is_stream:
        pieces = [chunk.choices[0].delta.content or "" for chunk in answer.parse() if chunk.choices]
        assert "".join(pieces) == "I am spare."
    else:
        assert answer.parse().choices[0].message.content == "I am spare."
    (told,) = [e for e in served.events("chunk") if e["body"].get("chunkType") == "fallback"][-1:]
    assert (told["body"]["model"], told["body"]["to"]) == ("big", "spare")
    assert told["body"]["reason"]
    assert served.events("finish")[-1]["body"]["model"] == "spare"


def test_a_model_that_failed_is_asked_last_for_a_while(served: Served) -> None:
    served.one.otherwise = Answer(status=503)
    served.ask("smart")
    served.one.forget()

    answer = served.ask("smart")

    assert served.one.requests == []
    assert answer.headers["x-hum-fallback"] == "spare"


def test_a_name_that_is_no_alias_never_becomes_another_model(served: Served) -> None:
    served.one.otherwise = Answer(status=500)

    with pytest.raises(openai.InternalServerError):
        served.ask("small")

    assert served.two.requests == []


def test_a_wrong_request_is_not_asked_twice(served: Served) -> None:
    served.two.otherwise = Answer(status=400, message="too hot")  # the first one still cools
    served.one.otherwise = Answer(status=400, message="too hot")

    with pytest.raises(openai.BadRequestError):
        served.ask("smart")

    assert not (served.one.requests and served.two.requests)


def test_after_the_first_word_nobody_else_is_asked(served: Served) -> None:
    broken = Answer(pieces=("Hel", "lo"), fault=Fault.RESET_IN_TEXT)
    served.one.otherwise = served.two.otherwise = broken

    with pytest.raises(openai.APIError):
        list(served.ask("smart", is_stream=True).parse())

    assert len(served.one.requests) + len(served.two.requests) == 1
