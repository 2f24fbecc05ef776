"""Counters, gauges and histograms of one process, small enough for every process.

The sidecar asks for `Registry.snapshot()` and renders Prometheus text from it; nothing here
listens. Rules:

- A name is `hum_` and lower-case words, in base units: a counter ends in `_total`, a histogram in
  `_seconds` or `_bytes`. Milliseconds and percentages are refused, but for the names in `KEPT`.
- A metric has fixed label names and at most `LABEL_SETS_MAX` label sets. What comes after them, or
  is longer than `LABEL_CHARS_MAX`, is counted under `OTHER`: a stranger's text never grows memory.
- One thread, no lock: a metric belongs to the loop that counts.

    tones = registry.counter("hum_tones_total", "Tones routed.", ("chi", "dir"))
    tones.labels("prompt", "in").inc()
"""

import re
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import ClassVar, Self, TypeVar

LABEL_SETS_MAX = 64
LABEL_CHARS_MAX = 64
OTHER = "other"
METRICS_MAX = 256
"""Metrics in one process; more is a loop that registers."""

SECONDS_BUCKETS = (
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    60,
)

KEPT = frozenset({"hum_cell_cpu_ms"})
"""Names that the original system has and collectors know."""

_NAME = re.compile(r"hum_[a-z]+(_[a-z]+)*")
_LABEL = re.compile(r"[a-z][a-z_]*")
_FOREIGN_UNITS = ("_ms", "_us", "_ns", "_millis", "_minutes", "_kb", "_mb", "_percent")


class Metric(ABC):
    """One named metric: a single series, or with label names the parent of one for each set."""

    kind: ClassVar[str]

    def __init__(self, label_names: tuple[str, ...] = ()) -> None:
        self.label_names = label_names
        self._children: dict[tuple[str, ...], Self] = {}

    def labels(self, *values: str) -> Self:
        """The series of these label values, in the order of the label names."""
        return self._children.get(values) or self._adopt(values)

    def remove(self, *values: str) -> None:
        """Forget the series of these label values: what they name is gone."""
        self._children.pop(values, None)

    def samples(self) -> list[dict[str, object]]:
        """One entry for each series that exists."""
        if not self.label_names:
            return [{"labels": {}, **self._sample()}]
        return [
            {"labels": dict(zip(self.label_names, values, strict=True)), **child._sample()}
            for values, child in self._children.items()
        ]

    def _adopt(self, values: tuple[str, ...]) -> Self:
        if len(values) != len(self.label_names):
            raise ValueError(f"labels are {self.label_names}, got {len(values)} values")
        if len(self._children) >= LABEL_SETS_MAX or max(map(len, values)) > LABEL_CHARS_MAX:
            values = (OTHER,) * len(values)
        return self._children.setdefault(values, self._series())

    def _series(self) -> Self:
        return type(self)()

    @abstractmethod
    def _sample(self) -> dict[str, object]:
        """What one series has to say, without its labels."""


class Counter(Metric):
    """Only ever grows; a restart begins at zero."""

    kind = "counter"

    def __init__(self, label_names: tuple[str, ...] = ()) -> None:
        super().__init__(label_names)
        self.value: float = 0

    def inc(self, amount: float = 1) -> None:
        """Add `amount`, which is not negative."""
        self.value += amount

    def _sample(self) -> dict[str, object]:
        return {"value": self.value}


class Gauge(Metric):
    """How much there is now."""

    kind = "gauge"

    def __init__(self, label_names: tuple[str, ...] = ()) -> None:
        super().__init__(label_names)
        self.value: float = 0

    def set(self, value: float) -> None:
        """Replace the value."""
        self.value = value

    def inc(self, amount: float = 1) -> None:
        """Add `amount`."""
        self.value += amount

    def dec(self, amount: float = 1) -> None:
        """Take `amount` away."""
        self.value -= amount

    def _sample(self) -> dict[str, object]:
        return {"value": self.value}


class Histogram(Metric):
    """How values are spread; a value equal to a bound counts inside it."""

    kind = "histogram"

    def __init__(
        self, label_names: tuple[str, ...] = (), bounds: Sequence[float] = SECONDS_BUCKETS
    ) -> None:
        super().__init__(label_names)
        self.bounds = tuple(bounds)
        self.sum: float = 0
        self._counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        """Count `value`."""
        self.sum += value
        self._counts[bisect_left(self.bounds, value)] += 1

    def _series(self) -> Self:
        return type(self)((), self.bounds)

    def _sample(self) -> dict[str, object]:
        *below, count = accumulate(self._counts)
        buckets = [[bound, upto] for bound, upto in zip(self.bounds, below, strict=True)]
        return {"buckets": buckets, "sum": self.sum, "count": count}


M = TypeVar("M", bound=Metric)


class Registry:
    """All metrics of one process. Asking again for a name gives the same metric."""

    def __init__(self) -> None:
        self._metrics: dict[str, Metric] = {}
        self._helps: dict[str, str] = {}

    def counter(self, name: str, help_text: str, labels: tuple[str, ...] = ()) -> Counter:
        """Make or find a counter; its name ends in `_total`."""
        _require(name.endswith("_total"), name, "a counter ends in _total")
        return self._add(name, help_text, Counter(labels))

    def gauge(self, name: str, help_text: str, labels: tuple[str, ...] = ()) -> Gauge:
        """Make or find a gauge; its name does not end in `_total`."""
        _require(not name.endswith("_total"), name, "only a counter ends in _total")
        return self._add(name, help_text, Gauge(labels))

    def histogram(
        self,
        name: str,
        help_text: str,
        labels: tuple[str, ...] = (),
        *,
        bounds: Sequence[float] = SECONDS_BUCKETS,
    ) -> Histogram:
        """Make or find a histogram; its name ends in its unit, `bounds` rise."""
        _require(name.endswith(("_seconds", "_bytes")), name, "a histogram ends in its unit")
        _require(list(bounds) == sorted(set(bounds)), name, "bounds rise")
        return self._add(name, help_text, Histogram(labels, bounds))

    def snapshot(self) -> list[dict[str, object]]:
        """Every metric as plain lists and maps, for msgpack or JSON.

        An entry is `{name, type, help, samples}`, a sample `{labels, value}`; of a histogram it is
        `{labels, buckets: [[bound, values up to it], ...], sum, count}`: cumulative, and `count`
        stands for the bound without end.
        """
        return [
            {
                "name": name,
                "type": metric.kind,
                "help": self._helps[name],
                "samples": metric.samples(),
            }
            for name, metric in self._metrics.items()
        ]

    def _add(self, name: str, help_text: str, metric: M) -> M:
        known = self._metrics.get(name)
        if known is not None:
            same = type(known) is type(metric) and known.label_names == metric.label_names
            _require(same, name, "known as another kind or with other labels")
            assert isinstance(known, type(metric))
            return known
        _require(_NAME.fullmatch(name) is not None, name, "hum_ and lower-case words")
        is_base = not name.removesuffix("_total").endswith(_FOREIGN_UNITS)
        _require(is_base or name in KEPT, name, "base units only")
        _require(
            all(map(_LABEL.fullmatch, metric.label_names)), name, "labels are lower-case words"
        )
        _require(bool(help_text), name, "a help text says what it counts")
        _require(len(self._metrics) < METRICS_MAX, name, f"at most {METRICS_MAX} metrics")
        self._metrics[name] = metric
        self._helps[name] = help_text
        return metric


def _require(holds: bool, name: str, rule: str) -> None:
    if not holds:
        raise ValueError(f"metric {name!r}: {rule}")
