"""What the times of two addresses add up to. Nothing here asks or prints."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hum.bench.probe import Run, Sample


@dataclass(slots=True)
class Times:
    """Everything that was measured at one address, over all rounds."""

    single: list[Sample] = field(default_factory=list)
    """Whole answers, one at a time."""
    streamed: list[Sample] = field(default_factory=list)
    """Streamed answers, one at a time."""
    loaded: list[Sample] = field(default_factory=list)
    """Whole answers, many at once."""
    rates: list[float] = field(default_factory=list)
    """Answers a second with many at once, by round."""

    def add_load(self, run: Run) -> None:
        """A round with many at once."""
        self.loaded += run.samples
        self.rates.append(run.per_second)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the comparison."""

    name: str
    unit: str
    ours: float
    theirs: float

    @property
    def difference(self) -> float:
        """Ours minus theirs."""
        return self.ours - self.theirs


def compare(ours: Times, theirs: Times) -> list[Row]:
    """The rows of a comparison; both have been asked the same."""
    return [
        Row(name, unit, of(ours), of(theirs))
        for name, (unit, of) in FIGURES.items()
        if of(ours) >= 0 and of(theirs) >= 0
    ]


def quantile(values: Iterable[float], share: float) -> float:
    """The value that `share` of them do not exceed; -1 without values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else -1.0


def event_ms(samples: Sequence[Sample]) -> float:
    """Milliseconds from one event of a stream to the next; -1 when no stream has two."""
    costs = [
        (sample.seconds - sample.first_seconds) * 1_000 / (sample.events - 1)
        for sample in samples
        if sample.events > 1
    ]
    return statistics.median(costs) if costs else -1.0


def _ms(samples: Iterable[Sample], share: float) -> float:
    return quantile((sample.seconds * 1_000 for sample in samples), share)


def _first_ms(samples: Iterable[Sample]) -> float:
    return quantile((sample.first_seconds * 1_000 for sample in samples), 0.5)


Figure = Callable[[Times], float]

FIGURES: Mapping[str, tuple[str, Figure]] = {
    "one at a time, p50": ("ms", lambda times: _ms(times.single, 0.5)),
    "one at a time, p99": ("ms", lambda times: _ms(times.single, 0.99)),
    "first event of a stream, p50": ("ms", lambda times: _first_ms(times.streamed)),
    "from event to event": ("ms", lambda times: event_ms(times.streamed)),
    "many at once, p50": ("ms", lambda times: _ms(times.loaded, 0.5)),
    "many at once, p99": ("ms", lambda times: _ms(times.loaded, 0.99)),
    "many at once": ("requests/s", lambda times: statistics.median(times.rates or [-1.0])),
}
