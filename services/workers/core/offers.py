"""Which service answers for which model: several services of one dialect behind one worker.

- A service's models keep their names; where two services have the same, it is that of the first.
- Those of a further service are there under `service/model` as well.
- An alias is a name with an order of models: the first that can answer does. Whoever asks for the
  alias has allowed every model in it, and nobody is ever given a model that is not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

COOLING_SECONDS = 15.0
"""How long a model that failed is asked last, when its service named no time."""
COOLING_SECONDS_MAX = 300.0


@dataclass(frozen=True, slots=True)
class Choice:
    """A model of a service."""

    service: int
    """Place of the service in the worker's list."""
    model: str
    """As the service calls it."""


@dataclass(frozen=True, slots=True)
class Offers:
    """Everything that a worker offers, by name, and what an alias could not keep of its order."""

    choices: Mapping[str, tuple[Choice, ...]]
    unknown: tuple[tuple[str, str], ...] = ()
    """Aliases and the models in them that no service has."""

    @property
    def names(self) -> tuple[str, ...]:
        """The models as they are told in a hello."""
        return tuple(self.choices)

    def choices_of(self, name: object) -> tuple[Choice, ...]:
        """In which order to ask; the first model of all for a name that nobody offers.

        A name that humd let through although it is not here belongs to the first service: it knows
        best what it has.
        """
        if not isinstance(name, str) or not name:
            return next(iter(self.choices.values()))
        return self.choices.get(name) or (Choice(0, name),)


def offers_of(
    services: Sequence[tuple[str, Sequence[str]]],
    aliases: Sequence[tuple[str, Sequence[str]]] = (),
) -> Offers:
    """What services with these names and models offer together, under these aliases.

    The first service has no need of a name.
    """
    known: dict[str, tuple[Choice, ...]] = {}
    for place, (label, models) in enumerate(services):
        for model in models:
            choice = (Choice(place, model),)
            known.setdefault(model, choice)
            if place:
                known[f"{label}/{model}"] = choice
    named: dict[str, tuple[Choice, ...]] = {}
    unknown: list[tuple[str, str]] = []
    for alias, models in aliases:
        unknown += [(alias, model) for model in models if model not in known]
        if order := tuple(choice for model in models for choice in known.get(model, ())):
            named[alias] = order
    return Offers(
        {**named, **{name: known[name] for name in known if name not in named}}, tuple(unknown)
    )


class Cooling:
    """Models that failed a moment ago: they are asked last until their time is over."""

    def __init__(self) -> None:
        self._until: dict[Choice, float] = {}
        self._is_asked: dict[Choice, bool] = {}

    def failed(self, choice: Choice, now: float, *, seconds: float | None) -> None:
        """It failed; `seconds` is what its service wants us to wait."""
        wait = COOLING_SECONDS if seconds is None else min(seconds, COOLING_SECONDS_MAX)
        self._until[choice] = now + wait
        self._is_asked[choice] = seconds is not None

    def answered(self, choice: Choice) -> None:
        """It answers again."""
        self._until.pop(choice, None)
        self._is_asked.pop(choice, None)

    def asked_seconds(self, choice: Choice, now: float) -> float:
        """For how long its service still wants to be left alone; 0 when it does not."""
        return max(0.0, self._until.get(choice, now) - now) if self._is_asked.get(choice) else 0.0

    def order(self, choices: Sequence[Choice], now: float) -> list[Choice]:
        """The same choices; those that cool behind the others, the soonest ready first."""
        if not self._until:
            return list(choices)
        ready = [choice for choice in choices if self._until.get(choice, 0.0) <= now]
        cooling = [choice for choice in choices if choice not in ready]
        return ready + sorted(cooling, key=lambda choice: self._until[choice])
