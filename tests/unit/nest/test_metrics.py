"""Metrics: named by the rules, bounded, and plain data when asked for (experience 5.11)."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nest.metrics import LABEL_CHARS_MAX, LABEL_SETS_MAX, METRICS_MAX, OTHER, Registry


def samples(registry: Registry) -> list[dict[str, object]]:
    (entry,) = registry.snapshot()
    found = entry["samples"]
    assert isinstance(found, list)
    return found


def test_a_counter_without_labels_is_one_series() -> None:
    registry = Registry()

    registry.counter("hum_tones_total", "Tones routed.").inc()
    registry.counter("hum_tones_total", "Tones routed.").inc(2)

    assert registry.snapshot() == [
        {
            "name": "hum_tones_total",
            "type": "counter",
            "help": "Tones routed.",
            "samples": [{"labels": {}, "value": 3}],
        }
    ]


def test_labels_make_one_series_for_each_set() -> None:
    registry = Registry()
    tones = registry.counter("hum_tones_total", "Tones routed.", ("chi", "dir"))

    tones.labels("prompt", "in").inc()
    tones.labels("chunk", "out").inc(5)
    tones.labels("prompt", "in").inc()

    assert samples(registry) == [
        {"labels": {"chi": "prompt", "dir": "in"}, "value": 2},
        {"labels": {"chi": "chunk", "dir": "out"}, "value": 5},
    ]


def test_a_gauge_goes_up_and_down() -> None:
    registry = Registry()
    turns = registry.gauge("hum_turns_inflight", "Turns now.")

    turns.set(5)
    turns.inc()
    turns.dec(2)

    assert samples(registry) == [{"labels": {}, "value": 4}]


def test_a_histogram_counts_cumulatively_with_bounds_included() -> None:
    registry = Registry()
    turns = registry.histogram("hum_turn_seconds", "Turn times.", bounds=(1, 2, 4))

    for value in (0.5, 1, 1.5, 4, 100):
        turns.observe(value)

    assert samples(registry) == [
        {"labels": {}, "buckets": [[1, 2], [2, 3], [4, 4]], "sum": 107, "count": 5}
    ]


def test_a_labelled_histogram_keeps_its_bounds() -> None:
    registry = Registry()
    calls = registry.histogram("hum_tool_call_seconds", "Calls.", ("tool",), bounds=(1,))

    calls.labels("read").observe(3)

    assert samples(registry) == [
        {"labels": {"tool": "read"}, "buckets": [[1, 0]], "sum": 3, "count": 1}
    ]


@given(st.lists(st.text(max_size=2 * LABEL_CHARS_MAX), max_size=4 * LABEL_SETS_MAX))
def test_strangers_texts_never_grow_a_metric_past_its_bound(texts: list[str]) -> None:
    registry = Registry()
    tones = registry.counter("hum_tones_total", "Tones routed.", ("chi",))

    for text in texts:
        tones.labels(text).inc()

    assert len(tones.samples()) <= LABEL_SETS_MAX + 1
    assert sum(int(str(sample["value"])) for sample in tones.samples()) == len(texts)


def test_what_comes_after_the_bound_is_counted_under_other() -> None:
    tones = Registry().counter("hum_tones_total", "Tones routed.", ("chi",))

    for number in range(LABEL_SETS_MAX + 3):
        tones.labels(f"chi-{number}").inc()

    assert tones.labels(OTHER).value == 3


@pytest.mark.parametrize(
    "name", ["tones_total", "hum_Tones_total", "hum_tones2_total", "hum__total", "hum_a-b_total"]
)
def test_a_name_outside_the_rules_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="hum_"):
        Registry().counter(name, "Help.")


def test_a_name_that_collectors_know_is_kept_and_its_series_can_go() -> None:
    gauge = Registry().gauge("hum_cell_cpu_ms", "Processor time.", ("pid",))
    gauge.labels("7").set(3)
    gauge.remove("7")
    gauge.remove("8")

    assert gauge.samples() == []


@pytest.mark.parametrize("name", ["hum_queue_ms", "hum_load_percent", "hum_rss_kb"])
def test_a_unit_that_is_no_base_unit_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="base units"):
        Registry().gauge(name, "Help.")


def test_suffixes_tell_the_kind() -> None:
    with pytest.raises(ValueError, match="_total"):
        Registry().counter("hum_tones", "Help.")
    with pytest.raises(ValueError, match="_total"):
        Registry().gauge("hum_tones_total", "Help.")
    with pytest.raises(ValueError, match="unit"):
        Registry().histogram("hum_turn", "Help.")


def test_a_name_cannot_come_back_as_something_else() -> None:
    registry = Registry()
    registry.gauge("hum_bees", "Bees.", ("role",))

    with pytest.raises(ValueError, match="known as"):
        registry.gauge("hum_bees", "Bees.", ("kind",))


def test_the_wrong_number_of_label_values_is_refused() -> None:
    bees = Registry().gauge("hum_bees", "Bees.", ("role",))

    with pytest.raises(ValueError, match="labels"):
        bees.labels("worker", "extra")


def test_a_registry_is_bounded() -> None:
    registry = Registry()
    letters = "abcdefghijklmnopqrstuvwxyz"
    names = [f"hum_{a}_{b}" for a in letters for b in letters]

    for name in names[:METRICS_MAX]:
        registry.gauge(name, "Help.")

    with pytest.raises(ValueError, match="at most"):
        registry.gauge(names[METRICS_MAX], "Help.")


def test_a_snapshot_travels_in_msgpack() -> None:
    registry = Registry()
    registry.histogram("hum_turn_seconds", "Turn times.").observe(0.1)
    registry.counter("hum_tones_total", "Tones.", ("chi",)).labels("prompt").inc()

    assert msgpack.unpackb(msgpack.packb(registry.snapshot())) == registry.snapshot()
