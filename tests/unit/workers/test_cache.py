"""Answers that are given again: only whole ones, only to the same request, within their bound."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from workers.core.anthropic import MessageCompletion
from workers.core.cache import ENTRY_BYTES, AnswerCache, Heard, cache_key
from workers.core.completions import ChatCompletion, Completion, Delta, ToolCall, Usage

REQUEST = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "temperature": 0}


def completed(reason: str | None = "stop") -> Completion:
    call = ToolCall(id="c", name="look", pieces=["{}"])
    return ChatCompletion(finish_reason=reason, usage=Usage(7, 3), calls={0: call}, text=["hi"])


def heard(*deltas: Delta) -> Heard:
    found = Heard()
    for delta in deltas:
        found.add(delta)
    return found


def test_the_same_request_gets_the_same_answer_for_nothing_until_it_is_too_old() -> None:
    cache = AnswerCache(10 * ENTRY_BYTES, seconds=60)
    said = heard(Delta("h", ""), Delta("m", ""), Delta("", "he"), Delta("", "llo"))

    cache.put(b"k", completed(), said, now=0)

    kept = cache.get(b"k", now=59)
    assert kept is not None
    assert kept.deltas == (Delta("hm", ""), Delta("", "hello"))
    assert kept.completion.usage == Usage()
    assert kept.completion.wants_calls
    assert kept.completion.message() == completed().message()
    assert cache.get(b"k", now=60) is None
    assert cache.bytes == 0


def test_signed_and_hidden_reasoning_keeps_its_place() -> None:
    pieces = [Delta("a", ""), Delta("", "", "sig"), Delta("", "", "", ("data",)), Delta("b", "c")]
    completion = MessageCompletion(finish_reason="end_turn", thinking={0: {"type": "thinking"}})
    cache = AnswerCache(10 * ENTRY_BYTES, seconds=60)

    cache.put(b"k", completion, heard(*pieces), now=0)

    kept = cache.get(b"k", now=0)
    assert kept is not None
    assert kept.deltas == tuple(pieces)
    assert kept.completion.message()["thinking"] == [{"type": "thinking"}]


def test_what_did_not_come_to_its_end_is_not_kept() -> None:
    cache = AnswerCache(10 * ENTRY_BYTES, seconds=60)

    for reason in (None, "content_filter", "strange"):
        cache.put(b"k", completed(reason), heard(Delta("", "x")), now=0)

    assert cache.get(b"k", now=0) is None


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3 * ENTRY_BYTES)), max_size=40))
def test_it_never_holds_more_than_it_may(puts: list[tuple[int, int]]) -> None:
    cache = AnswerCache(4 * ENTRY_BYTES, seconds=60)

    for name, chars in puts:
        cache.put(bytes([name]), completed(), heard(Delta("", "x" * chars)), now=0)
        held = [cache.get(bytes([one]), now=0) for one in range(10)]
        assert cache.bytes == sum(kept.size for kept in held if kept is not None)
        assert cache.bytes <= 4 * ENTRY_BYTES


def test_without_room_it_is_off() -> None:
    assert not AnswerCache(0, seconds=60).is_on


def test_requests_are_the_same_only_to_the_last_character_and_of_one_key() -> None:
    def key(service: int = 0, owner: Any = None, **changed: Any) -> bytes:
        return cache_key(service, {**REQUEST, **changed}, owner)

    reordered = dict(reversed(REQUEST.items()))

    assert cache_key(0, reordered, None) == key() == key(owner={"agent": "x", "tokens": [1, 2]})
    others = {
        key(), key(1), key(owner={"id": "k1"}), key(owner={"id": "k2"}), key(temperature=1),
        key(tools=[]), key(messages=[{"role": "user", "content": "hi "}]),
    }  # fmt: skip
    assert len(others) == 7
