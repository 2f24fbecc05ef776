"""Snapshots of many processes as one Prometheus text."""

from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from thrum.tones import Body

SERVICE = "service"
"""The label that says which process a sample is from."""
SANDBOX = "hum_humfs_sandbox"
LEVELS = ("none", "partial", "full")
"""Of a sandbox, the weakest first."""


class Snapshots(Collector):
    """Turns `{hive, metrics}` of each process into metric families."""

    def __init__(self, vitals: Iterable[Body]) -> None:
        self._vitals = list(vitals)

    def collect(self) -> Iterator[Metric]:
        """One family for each name, samples of all processes in it."""
        for name, parts in self._by_name().items():
            first = parts[0][1]
            labels = list(dict.fromkeys(label for _, metric in parts for label in _labels(metric)))
            family = _family(name, first, labels)
            for service, metric in parts:
                for sample in metric["samples"]:
                    values = [str(sample["labels"].get(label, "")) for label in labels]
                    _add(family, [service, *values], sample)
            yield family

    def _by_name(self) -> dict[str, list[tuple[str, Body]]]:
        """Each metric with the service it is from; one of another type is left out."""
        found: dict[str, list[tuple[str, Body]]] = {}
        for process in self._vitals:
            for metric in process.get("metrics", []):
                parts = found.setdefault(metric["name"], [])
                if not parts or parts[0][1]["type"] == metric["type"]:
                    parts.append((str(process.get("hive", "")), metric))
        return found


def registry_of(vitals: Iterable[Body]) -> CollectorRegistry:
    """A registry that holds exactly these snapshots."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Snapshots(vitals))
    return registry


def _labels(metric: Body) -> list[str]:
    return [name for sample in metric["samples"] for name in sample["labels"]]


def _family(name: str, metric: Body, labels: list[str]) -> Metric:
    kinds: dict[str, type[Metric]] = {
        "counter": CounterMetricFamily,
        "gauge": GaugeMetricFamily,
        "histogram": HistogramMetricFamily,
    }
    kind: Any = kinds[metric["type"]]
    family: Metric = kind(name.removesuffix("_total"), metric["help"], labels=[SERVICE, *labels])
    return family


def _add(family: Metric, values: list[str], sample: Body) -> None:
    if isinstance(family, HistogramMetricFamily):
        buckets = [(str(bound), count) for bound, count in sample["buckets"]]
        buckets.append(("+Inf", sample["count"]))
        family.add_metric(values, buckets=buckets, sum_value=sample["sum"])
    elif isinstance(family, CounterMetricFamily | GaugeMetricFamily):
        family.add_metric(values, sample["value"])


def weakest_sandbox(vitals: Iterable[Body]) -> str | None:
    """The lowest level that any process tells for the sandbox of its commands."""
    told = {
        sample["labels"].get("level")
        for one in vitals
        for metric in one.get("metrics", ())
        if metric.get("name") == SANDBOX
        for sample in metric["samples"]
        if sample.get("value")
    }
    return next((level for level in LEVELS if level in told), None)
