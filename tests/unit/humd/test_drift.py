"""Timings of turns."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from humd.core.drift import (
    FRONT_MS_MAX,
    NAMES_MAX,
    PHASES,
    SPAN_MS_MAX,
    THRUMS_MAX,
    Timing,
    aggregate,
    percentile,
)

steps = st.integers(0, 10_000)


def timing(**fields: Any) -> Timing:
    return Timing(**{"sid": "s", "seq": 7, "logged_ms": 1_000, "started_ms": 1_000, **fields})


@given(front=st.none() | st.integers(-5, 2 * FRONT_MS_MAX), queue=steps, worker=steps, stream=steps)
def test_the_phases_sum_to_the_total(
    front: int | None, queue: int, worker: int, stream: int
) -> None:
    """Features A19."""
    logged = 100 * FRONT_MS_MAX
    turn = timing(
        logged_ms=logged,
        started_ms=logged + queue,
        sent_ms=None if front is None else logged - front,
    )
    turn.chunk(logged + queue + worker)
    turn.chunk(logged + queue + worker + stream)

    record = turn.record(9, logged + queue + worker + stream, "end_turn")

    assert tuple(record["phases"]) == PHASES
    assert sum(record["phases"].values()) == record["total_ms"]
    assert record["phases"]["queue"] == queue
    is_plausible = front is not None and 0 <= front <= FRONT_MS_MAX
    assert record["phases"]["front"] == (front if is_plausible else 0)


def test_a_turn_without_output_was_all_the_workers() -> None:
    record = timing().record(9, 1_500, "worker.lost")

    assert record["phases"] == {"front": 0, "queue": 0, "worker": 500, "stream": 0}
    assert "first" not in record["marks"]
    assert record["marks"]["wilt"] == 500


def test_tools_add_up_and_an_answer_nobody_waits_for_is_nothing() -> None:
    turn = timing()
    turn.call("a", 1_100)
    turn.call("b", 1_100)
    turn.answer("a", 1_300)
    turn.answer("b", 1_200)
    turn.answer("b", 1_900)

    record = turn.record(9, 2_000, "end_turn")

    assert (record["calls"], record["spans"]) == (2, {"tools": 300})


def test_marks_keep_the_first_and_spans_add_up() -> None:
    turn = timing()
    for ms in (10, 20):
        turn.mark({"mark": "m", "span": {"name": "s", "ms": ms}}, 1_000 + ms)
    turn.mark({"flag": {"key": "k", "value": "v"}, "thrum": {"to": "nest", "ms": 3}}, 1_030)

    record = turn.record(9, 1_100, "end_turn")

    assert record["marks"]["m"] == 10
    assert record["spans"] == {"s": 30}
    assert record["flags"] == {"k": "v"}
    assert record["thrums"] == [{"to": "nest", "ms": 3, "at": 30}]


@pytest.mark.parametrize(
    "body",
    [
        {"mark": 7},
        {"mark": ""},
        {"mark": "x" * 65},
        {"span": "no"},
        {"span": {"name": "s", "ms": -1}},
        {"span": {"name": "s", "ms": True}},
        {"span": {"name": "s", "ms": float("nan")}},
        {"span": {"name": "s", "ms": SPAN_MS_MAX + 1}},
        {"flag": {"key": "k", "value": {"deep": 1}}},
        {"flag": {"key": "k", "value": "x" * 257}},
        {"thrum": {"to": "elsewhere", "ms": 1}},
    ],
)
def test_a_mark_that_does_not_fit_is_ignored(body: dict[str, Any]) -> None:
    turn = timing()

    turn.mark(body, 1_010)

    assert (turn.marks, turn.spans, turn.flags, turn.thrums) == ({}, {}, {}, [])


def test_one_turn_keeps_a_bounded_number_of_everything() -> None:
    turn = timing()

    for number in range(1_000):
        name = f"n{number}"
        turn.call(name, 1_000)
        turn.mark(
            {
                "mark": name,
                "span": {"name": name, "ms": 1},
                "flag": {"key": name, "value": 1},
                "thrum": {"to": "oc", "ms": 1},
            },
            1_001,
        )

    kept = (turn.marks, turn.spans, turn.flags, turn.open_calls)
    assert [len(each) for each in kept] == [NAMES_MAX] * 4
    assert len(turn.thrums) == THRUMS_MAX
    assert turn.calls == 1_000


def test_percentiles_are_taken_by_index() -> None:
    values: list[float] = list(range(1, 101))

    assert [percentile(values, percent) for percent in (0, 50, 95, 100)] == [1, 51, 96, 100]
    assert percentile([4.0], 95) == 4.0


def test_records_are_summed_up_by_name_and_broken_ones_do_no_harm() -> None:
    turn = timing()
    turn.chunk(1_200)
    turn.mark({"thrum": {"to": "oc", "ms": 4}}, 1_250)
    broken: list[Any] = [
        {"total_ms": "x", "phases": 7, "marks": {"m": -1}, "thrums": "no"},
        {},
        {"thrums": [7, {"to": "oc"}]},
    ]

    sums = aggregate([turn.record(9, 1_300, "end_turn"), *broken])

    assert sums["total"] == {"n": 1, "p50": 300, "p95": 300}
    assert sums["worker"] == {"n": 1, "p50": 200, "p95": 200}
    assert sums["thrum_to_oc"] == {"n": 1, "p50": 4, "p95": 4}
    assert "m" not in sums
