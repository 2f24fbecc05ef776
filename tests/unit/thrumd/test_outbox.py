"""What waits for a client that reads slowly."""

import tracemalloc

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thrum.tones import Body, Tone
from thrumd.core.outbox import BYTES_MAX, DELTA_CHARS_MAX, HARD_FACTOR, LINES_MAX, Outbox


def delta(text: str, sid: str = "s", **more: object) -> Tone:
    body = {"chunkType": "text_delta", "blockIdx": 0, "delta": text, **more}
    return Tone(chi="chunk", sid=sid, fan=1, body=body)


def drained(box: Outbox) -> list[Body]:
    found = []
    while lines := box.take(100):
        found += [orjson.loads(line) for line in lines.splitlines()]
    return found


def test_tones_leave_in_the_order_they_came() -> None:
    box = Outbox()

    for number in range(20):
        box.put(Tone(chi="prompt", sid="s", body={"n": number}))
        box.put_lines(b'{"chi":"echo","n":%d}\n' % number)

    assert [(flat["chi"], flat["n"]) for flat in drained(box)] == [
        (chi, number) for number in range(20) for chi in ("prompt", "echo")
    ]
    assert len(box) == 0


def test_text_of_one_sid_becomes_one_chunk_while_it_waits() -> None:
    box = Outbox()

    for number, text in enumerate("abc"):
        tone = delta(text, part={"type": "text", "text": text}, sentAt=number)
        tone.wane = number + 1
        box.put(tone)
        box.put(delta(text.upper(), sid="other"))

    assert len(box) == 2
    mine, other = drained(box)
    assert (mine["delta"], mine["part"]["text"], mine["wane"]) == ("abc", "abc", 3)
    assert (other["sid"], other["delta"]) == ("other", "ABC")


@pytest.mark.parametrize(
    "between",
    [
        Tone(chi="tool-call", sid="s"),
        Tone(chi="chunk", sid="s", body={"chunkType": "content_block_stop", "blockIdx": 0}),
        delta("x", blockIdx=1),
        delta("x", ext={"a": {}}),
        Tone(chi="chunk", sid="s", body={"chunkType": "reasoning_delta", "delta": "x"}),
    ],
)
def test_text_never_moves_past_another_tone_of_its_sid(between: Tone) -> None:
    box = Outbox()

    box.put(delta("a"))
    box.put(between)
    box.put(delta("b"))

    assert len(drained(box)) == 3


def test_text_that_left_is_not_joined_any_more() -> None:
    box = Outbox()

    box.put(delta("a"))
    assert len(drained(box)) == 1
    box.put(delta("b"))

    assert [flat["delta"] for flat in drained(box)] == ["b"]


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.text(max_size=5), st.booleans())))
def test_every_sid_reads_all_of_its_text_in_order(
    tones: list[tuple[str, str, bool]],
) -> None:
    box, expected, seen = Outbox(), dict.fromkeys("xyz", ""), dict.fromkeys("xyz", "")

    for sid, text, read in tones:
        text = text.encode("utf-8", "ignore").decode()
        box.put(delta(text, sid=sid))
        expected[sid] += text
        if read:
            for line in box.take(1).splitlines():
                flat = orjson.loads(line)
                seen[flat["sid"]] += flat["delta"]
    for flat in drained(box):
        seen[flat["sid"]] += flat["delta"]

    assert seen == expected


def test_joined_text_has_a_bound() -> None:
    box = Outbox()

    for _ in range(3):
        box.put(delta("x" * DELTA_CHARS_MAX))

    assert len(box) == 3


def test_a_full_box_drops_timing_samples_and_nothing_else() -> None:
    box = Outbox()
    for number in range(LINES_MAX):
        box.put(Tone(chi="tool-call", body={"n": number}))

    assert box.is_full
    assert not box.overflowed
    assert [box.put(Tone(chi=chi)) for chi in ("perf-mark", "drone", "log")] == [False] * 3
    assert box.put(Tone(chi="finish", sid="s"))
    assert drained(box)[-1]["chi"] == "finish"
    assert not box.is_full


def test_a_box_overflows_at_a_multiple_of_full() -> None:
    box = Outbox()

    for _ in range(LINES_MAX * HARD_FACTOR - 1):
        box.put_lines(b"x\n")

    assert not box.overflowed
    box.put_lines(b"x\n")
    assert box.overflowed


def test_bytes_count_as_lines_do_but_one_huge_line_alone_is_no_overflow() -> None:
    box = Outbox()

    box.put_lines(b"x" * (BYTES_MAX * HARD_FACTOR))

    assert box.is_full
    assert not box.overflowed
    box.put_lines(b"x")
    assert box.overflowed


@pytest.mark.parametrize("sids", [1, 50])
@pytest.mark.parametrize("length", [2_000, DELTA_CHARS_MAX // 2, DELTA_CHARS_MAX + 1])
@pytest.mark.parametrize("odd", ["", "\N{HONEYBEE}"])
def test_what_is_counted_is_what_is_held(sids: int, length: int, odd: str) -> None:
    """One character outside of the basic plane makes Python hold four bytes for each of a text."""
    box, number = Outbox(), 0
    tracemalloc.start()
    try:
        while not box.is_full:
            text = "x" * length + odd
            part = {"type": "text", "text": text}
            box.put(delta(text, sid=str(number % sids), part=part, n=number // 200))
            number += 1
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < box.waiting_bytes * 1.5 + len(box) * 2_048
    assert len(b"".join(iter(lambda: box.take(100), b""))) > 0
    assert box.waiting_bytes == 0
