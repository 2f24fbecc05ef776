"""Following one answer."""

import socket
import threading
from typing import Any

import pytest

from hum import ask
from hum.ask import Answer, prompt_tone, worker_of
from hum.door import Door, DoorSilent
from hum.errors import AskRefused
from thrum.lines import write_line
from thrum.tones import Tone


def tone(chi: str, *, sid: str | None = "s", rid: str | None = None, **body: Any) -> Tone:
    return Tone(chi=chi, sid=sid, rid=rid, body=body)


def test_the_text_of_an_answer_is_its_text_deltas() -> None:
    answer = Answer(rid="r", sid="s")
    tones = [
        tone("echo", sid=None, rid="r", ok=True),
        tone("session-ready", model="m"),
        tone("chunk", chunkType="text_start", blockIdx=0),
        tone("chunk", chunkType="text_delta", delta="a"),
        tone("chunk", chunkType="reasoning_delta", delta="no"),
        tone("chunk", sid="other", chunkType="text_delta", delta="no"),
        tone("chunk", chunkType="text_delta", delta="b"),
        tone("finish", finishReason="end_turn", usage={"input_tokens": 1}),
    ]

    said = [answer.take(each) for each in tones]

    assert "".join(said) == "ab" == "".join(answer.text)
    assert (answer.model, answer.reason, answer.usage) == ("m", "end_turn", {"input_tokens": 1})


def test_a_finish_without_usage_is_one() -> None:
    answer = Answer(rid="r", sid="s")

    answer.take(tone("finish", usage=None))

    assert (answer.reason, answer.usage) == ("end_turn", {})


def test_an_error_names_its_qualifier_and_the_mend() -> None:
    with pytest.raises(AskRefused) as caught:
        Answer(rid="r", sid="s").take(tone("error", message="nobody", qualifier="prompt.no-worker"))

    assert caught.value.message == "nobody [prompt.no-worker]"
    assert "--model" in caught.value.hint


def test_an_error_without_a_conversation_is_ours_by_its_rid() -> None:
    answer = Answer(rid="r", sid="s")

    assert answer.take(tone("error", sid=None, rid="other", message="x")) == ""
    with pytest.raises(AskRefused):
        answer.take(tone("error", sid=None, rid="r", message="x"))


def test_a_failed_echo_is_a_refusal() -> None:
    with pytest.raises(AskRefused, match="past dusk"):
        Answer(rid="r", sid="s").take(tone("echo", rid="r", ok=False, error="past dusk"))


def test_the_prompt_names_a_model_only_when_asked_to() -> None:
    assert "modelId" not in prompt_tone("hi", model=None, sid="s", rid="r").body
    assert prompt_tone("hi", model="m", sid="s", rid="r").body["modelId"] == "m"


def test_the_worker_is_the_bee_that_offers_the_model() -> None:
    bees = {"a": {"models": ["x"]}, "b": {"models": ["m"]}, "c": {}}

    assert worker_of("m", bees) == "b"
    assert worker_of("nope", bees) is None
    assert worker_of(None, bees) is None


def test_a_prompt_that_nobody_takes_is_not_waited_for_like_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ask, "LOGGED_SECONDS", 0.05)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(write_line(Tone(chi="breath", body={})))

        with pytest.raises(DoorSilent):
            ask.follow(Door(ours), Answer(rid="r", sid="s"), quiet=True)


def test_an_answer_may_take_longer_than_its_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "LOGGED_SECONDS", 0.0)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(write_line(Tone(chi="echo", rid="r", body={"ok": True})))
        finish = write_line(Tone(chi="finish", sid="s", body={"finishReason": "stop"}))
        late = threading.Timer(0.1, theirs.sendall, [finish])
        late.start()
        answer = Answer(rid="r", sid="s")

        ask.follow(Door(ours), answer, quiet=True)
        late.join()

        assert answer.reason == "stop"
