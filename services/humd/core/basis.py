"""What the router decides by besides events: whose it is, and those of its settings that decide.

Every boot of humd puts it into the log, so a replay reads no settings and comes to what was decided
under those of the time.
"""

from dataclasses import asdict, dataclass, field

from humd.core.arrivals import Arrival
from humd.core.drone import Classifier, flags_nothing
from humd.core.phrases import classify
from thrum.tones import Body

PERMISSION_DUSK_MS = 60_000
CLASSIFIERS: dict[str, Classifier] = {"none": flags_nothing, "phrases": classify}


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """See the module."""

    humd: str = ""
    """Our own hid."""
    default_hive: str = ""
    """Whose first model a prompt without one gets; also the nest of every sigil."""
    permission_dusk_ms: int = PERMISSION_DUSK_MS
    """How long a permission-ask waits that does not say so itself."""
    classifier: str = "none"
    """What judges whether a model has lost its context: a key of `CLASSIFIERS`."""

    budgets: list[Body] = field(default_factory=list)
    """What may be used in a time (`humd.core.budgets`)."""
    prices: dict[str, list[int]] = field(default_factory=dict)
    """What models cost (`humd.core.spending`)."""
    unknown_price: str = "refuse"
    """What a budget in money does with a model that has no price: `refuse` or `ignore`."""

    def body(self) -> Body:
        """As a boot says it."""
        return asdict(self)


def basis_of(arrival: Arrival, before: Basis) -> Basis:
    """The basis that a boot says; what it does not say stays as it was."""
    body = arrival.body
    said = {key: body[key] for key, value in before.body().items() if _fits(body.get(key), value)}
    return Basis(**{**before.body(), **said})


def _fits(value: object, before: object) -> bool:
    return type(value) is type(before)
