"""Snapshots of several processes become one Prometheus text."""

from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from nest.metrics import Registry
from sidecar.exposition import registry_of, weakest_sandbox


def snapshot(hive: str, tones: int) -> dict[str, object]:
    registry = Registry()
    registry.counter("hum_tones_total", "Tones.", ("chi",)).labels("chunk").inc(tones)
    registry.gauge("hum_clients", "Clients.").set(3)
    registry.histogram("hum_wait_seconds", "Waits.", bounds=(0.1, 1)).observe(0.5)
    return {"hive": hive, "metrics": registry.snapshot()}


def samples(text: str) -> dict[tuple[str, str], float]:
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = f"{sample.labels.get('service')}{sample.labels.get('le', '')}"
            found[sample.name, key] = sample.value
    return found


def test_the_same_metric_of_two_processes_is_one_family_with_a_service_label() -> None:
    text = generate_latest(registry_of([snapshot("humd", 5), snapshot("front", 7)])).decode()

    found = samples(text)
    assert found["hum_tones_total", "humd"] == 5
    assert found["hum_tones_total", "front"] == 7
    assert text.count("# TYPE hum_tones_total counter") == 1


def test_a_histogram_keeps_its_buckets_and_gets_one_without_end() -> None:
    found = samples(generate_latest(registry_of([snapshot("humd", 1)])).decode())

    assert found["hum_wait_seconds_bucket", "humd0.1"] == 0
    assert found["hum_wait_seconds_bucket", "humd1"] == 1
    assert found["hum_wait_seconds_bucket", "humd+Inf"] == 1
    assert found["hum_wait_seconds_count", "humd"] == 1
    assert found["hum_wait_seconds_sum", "humd"] == 0.5


def test_processes_may_have_different_labels_for_one_name() -> None:
    plain, labelled = Registry(), Registry()
    plain.gauge("hum_size", "Sizes.").set(1)
    labelled.gauge("hum_size", "Sizes.", ("table",)).labels("calls").set(2)
    vitals = [
        {"hive": "humd", "metrics": labelled.snapshot()},
        {"hive": "front", "metrics": plain.snapshot()},
    ]

    text = generate_latest(registry_of(vitals)).decode()

    assert 'hum_size{service="humd",table="calls"} 2.0' in text
    assert 'hum_size{service="front",table=""} 1.0' in text


def sandboxed(level: str) -> dict[str, object]:
    registry = Registry()
    levels = registry.gauge("hum_humfs_sandbox", "Level.", ("level",))
    for one in ("none", "partial", "full"):
        levels.labels(one).set(one == level)
    return {"hive": "humfs", "metrics": registry.snapshot()}


def test_the_weakest_sandbox_of_several_processes_is_told() -> None:
    assert weakest_sandbox([snapshot("humd", 1)]) is None
    assert weakest_sandbox([sandboxed("full"), snapshot("humd", 1)]) == "full"
    assert weakest_sandbox([sandboxed("full"), sandboxed("partial")]) == "partial"
    assert weakest_sandbox([sandboxed("none"), sandboxed("partial")]) == "none"
