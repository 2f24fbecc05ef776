"""What turns use: reserved when their prompt is taken, settled when they end, from events alone.

    (nothing) --a prompt is taken--> held --its turn ends--> settled
                                      |  it is cancelled or refused before it ran: released

The same numbers are shown and enforced (`humd.core.budgets`), live and in replay. They stand in
rows: one for each window of time, key, agent, model and schedule. A turn counts in the windows in
which its prompt came.

What is settled is what the worker reported. Without a report, of a worker that was lost for
example, it is what was reserved, and told apart as estimated.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple

from humd.core.arrivals import Arrival
from humd.core.clients import Clients
from humd.core.sessions import Session
from thrum.chi import TERMINAL, Chi
from thrum.errors import MalformedTone
from thrum.limits import MICROS, WINDOWS, Limit, Unit, Window
from thrum.tones import Body

WINDOWS_KEPT = {"minute": 2, "hour": 2, "day": 35, "month": 2}
"""Windows of each kind whose rows are kept; the oldest go first."""
ROWS_MAX = 1_024
"""Rows of one window; what is used beyond them counts for `OTHER`."""
OTHER = "(other)"
NAME_CHARS_MAX = 64
MODEL_CHARS_MAX = 256
TOKENS_MAX = 2**32
"""The largest count of tokens that is believed."""
INPUT_TOKENS = 4_096
OUTPUT_TOKENS = 4_096
"""Reserved for a prompt that does not say what it may use."""
PRICES_KNOWN_MAX = 1_024
"""Models whose price is remembered, known or not."""

Default = Callable[[], str | None]
"""The model of a prompt that names none."""
Prices = dict[str, list[int]]
"""By model, or pattern of models: millionths of a dollar for a million tokens of input, output,
input read from a cache, input written to one."""


class Place(NamedTuple):
    """Which row."""

    window: str
    began_ms: int
    key: str
    agent: str
    model: str
    schedule: str = ""
    """The schedule that had it asked; empty when a person or a program did."""


@dataclass(slots=True)
class Row:
    """What was used at one place, and what is held there."""

    requests: int = 0
    """Prompts that were taken, those that run included."""
    running: int = 0
    cancelled: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    """As workers reported them."""
    estimated_tokens: int = 0
    """Of turns that nobody reported."""
    unpriced_tokens: int = 0
    """Of all these, those of models without a known price: they are missing in `micros`."""
    micros: int = 0
    """Millionths of a dollar."""
    held_tokens: int = 0
    held_micros: int = 0

    def used(self, unit: Unit) -> int:
        """All that counts against a limit in `unit`."""
        if unit == "requests":
            return self.requests
        if unit == "usd":
            return self.micros + self.held_micros
        return (
            self.input_tokens + self.output_tokens + self.cache_read_tokens
            + self.cache_write_tokens + self.estimated_tokens + self.held_tokens
        )  # fmt: skip


@dataclass(slots=True)
class Hold:
    """What is reserved for one prompt."""

    sid: str
    at_ms: int
    key: str
    agent: str
    model: str
    input_tokens: int
    output_tokens: int
    micros: int
    is_priced: bool
    is_running: bool = False
    schedule: str = ""

    @property
    def names(self) -> tuple[str, str, str, str]:
        """Whose row it is in, in every window."""
        return self.key, self.agent, self.model, self.schedule

    def amount(self, unit: Unit) -> int:
        """What it counts for against a limit in `unit`."""
        if unit == "requests":
            return 1
        return self.micros if unit == "usd" else self.input_tokens + self.output_tokens


class Spending:
    """See the module. `note` takes every event but chunks, after it took effect."""

    def __init__(self) -> None:
        self.rows: OrderedDict[Place, Row] = OrderedDict()
        self.held: OrderedDict[int, Hold] = OrderedDict()
        """By the log seq of the prompt."""
        self.prices: Prices = {}
        """Part of the basis; the state's to set."""
        self._by_window: dict[tuple[str, int], dict[Place, Row]] = {}
        self._by_sid: dict[str, list[int]] = {}
        self._rows_of: dict[int, list[Row]] = {}
        self._known: dict[str, list[int] | None] = {}

    def stand_on(self, prices: Prices) -> None:
        """Count by these prices from now on."""
        self.prices = prices
        self._known.clear()

    def price(self, model: str) -> list[int] | None:
        """The price of a model: its own, else that of the longest pattern; None when unknown."""
        if model not in self._known:
            if len(self._known) >= PRICES_KNOWN_MAX:
                self._known.clear()
            fitting = [name for name in self.prices if fnmatchcase(model, name)]
            best = model if model in self.prices else max(fitting, key=len, default="")
            self._known[model] = self.prices.get(best)
        return self._known[model]

    def hold_of(self, arrival: Arrival, clients: Clients, default: Default) -> Hold:
        """What a prompt would hold. Changes nothing."""
        account = account_of(arrival.body)
        client = clients.get(arrival.client) if arrival.client is not None else None
        name = client.name if client is not None else None
        model = (arrival.text("modelId") or default() or "")[:MODEL_CHARS_MAX]
        tokens_in, tokens_out = _estimate(account.get("tokens"))
        price = self.price(model)
        return Hold(
            sid=arrival.header.sid or "",
            at_ms=arrival.at_ms,
            key=_name(account.get("id")),
            agent=_name(account.get("agent")) or _name(name),
            model=model,
            input_tokens=tokens_in,
            output_tokens=tokens_out,
            micros=_cost(price, (tokens_in, tokens_out, 0, 0)),
            is_priced=price is not None,
            schedule=_name(account.get("schedule")),
        )

    def rows_at(self, limit: Limit, at_ms: int) -> dict[Place, Row]:
        """The rows of the window of `limit` that `at_ms` lies in."""
        return self._by_window.get((limit.window, limit.began_ms(at_ms)), {})

    def note(
        self, arrival: Arrival, session: Session | None, clients: Clients, default: Default
    ) -> None:
        """Take down one event of the sid of `session`, which is as it is now."""
        sid = arrival.header.sid
        assert sid is not None
        is_prompt = arrival.header.chi == Chi.PROMPT and arrival.client is not None
        if is_prompt and session is not None and _is_live(session, arrival.seq):
            self._take(arrival.seq, self.hold_of(arrival, clients, default))
        for seq in tuple(self._by_sid.get(sid, ())):
            hold = self.held[seq]
            if session is not None and _is_live(session, seq):
                hold.is_running = hold.is_running or session.opened_seq == seq
            else:
                rows = self._let_go(seq, hold)
                if hold.is_running:
                    self._settle(hold, rows, arrival)
                else:  # it never ran
                    for row in rows:
                        row.requests -= 1

    def reindex(self) -> None:
        """Find rows and holds again."""
        self._by_window.clear()
        self._by_sid.clear()
        self._rows_of.clear()
        for place, row in self.rows.items():
            self._by_window.setdefault(place[:2], {})[place] = row
        for seq, hold in self.held.items():
            self._by_sid.setdefault(hold.sid, []).append(seq)
            self._rows_of[seq] = self._rows(hold)

    def _take(self, seq: int, hold: Hold) -> None:
        self.held[seq] = hold
        self._by_sid.setdefault(hold.sid, []).append(seq)
        rows = self._rows_of[seq] = self._new_rows(hold)
        tokens, micros = hold.input_tokens + hold.output_tokens, hold.micros
        for row in rows:
            row.requests += 1
            row.running += 1
            row.held_tokens += tokens
            row.held_micros += micros

    def _let_go(self, seq: int, hold: Hold) -> list[Row]:
        """Nothing is held any more; the rows where it was."""
        del self.held[seq]
        seqs = self._by_sid[hold.sid]
        seqs.remove(seq)
        if not seqs:
            del self._by_sid[hold.sid]
        rows = self._rows_of.pop(seq)
        tokens, micros = hold.input_tokens + hold.output_tokens, hold.micros
        for row in rows:
            row.running -= 1
            row.held_tokens -= tokens
            row.held_micros -= micros
        return rows

    def _settle(self, hold: Hold, rows: list[Row], arrival: Arrival) -> None:
        body = _body(arrival)
        is_cancelled = arrival.header.chi == Chi.FINISH and body.get("finishReason") == "cancelled"
        is_failed = arrival.header.chi == Chi.ERROR
        counts = _counts(body.get("usage"))
        estimated = 0
        if arrival.header.chi not in TERMINAL or arrival.client is None:
            counts = (0, 0, 0, 0)
            estimated = hold.amount("tokens")
            micros = hold.micros
        elif is_cancelled and not any(counts):
            estimated = hold.input_tokens
            micros = _cost(self.price(hold.model), (estimated, 0, 0, 0))
        else:
            micros = _cost(self.price(hold.model), counts)
        for row in rows:
            row.cancelled += is_cancelled
            row.failed += is_failed
            row.input_tokens += counts[0]
            row.output_tokens += counts[1]
            row.cache_read_tokens += counts[2]
            row.cache_write_tokens += counts[3]
            row.estimated_tokens += estimated
            row.micros += micros
            if not hold.is_priced:
                row.unpriced_tokens += sum(counts) + estimated

    def _rows(self, hold: Hold) -> list[Row]:
        """The rows of a hold, one for each kind of window; those that are gone are left out."""
        found = []
        for window in WINDOWS:
            began_ms = _LIMITS[window].began_ms(hold.at_ms)
            rows = self._by_window.get((window, began_ms), {})
            place = Place(window, began_ms, *hold.names)
            row = rows.get(place) or rows.get(_other(place))
            if row is not None:
                found.append(row)
        return found

    def _new_rows(self, hold: Hold) -> list[Row]:
        """The same for a prompt that has just come; made where there are none."""
        return [self._new_row(window, hold) for window in WINDOWS]

    def _new_row(self, window: Window, hold: Hold) -> Row:
        began_ms = _LIMITS[window].began_ms(hold.at_ms)
        rows = self._window(window, began_ms)
        place = Place(window, began_ms, *hold.names)
        row = rows.get(place)
        if row is None and len(rows) >= ROWS_MAX:
            place = _other(place)
            row = rows.get(place)
        if row is None:
            row = self.rows[place] = rows[place] = Row()
        return row

    def _window(self, window: Window, began_ms: int) -> dict[Place, Row]:
        """The rows of one window; one that is new puts the oldest out."""
        if (known := self._by_window.get((window, began_ms))) is not None:
            return known
        rows: dict[Place, Row] = {}
        self._by_window[window, began_ms] = rows
        began = sorted(at for kind, at in self._by_window if kind == window)
        for old in began[: -WINDOWS_KEPT[window]]:
            for place in self._by_window.pop((window, old)):
                self.rows.pop(place, None)
        return rows


_LIMITS: dict[str, Limit] = {window: Limit(0, "requests", window) for window in WINDOWS}


def _other(place: Place) -> Place:
    """Where uses are counted that have no row of their own."""
    return Place(place.window, place.began_ms, OTHER, OTHER, OTHER, OTHER)


def account_of(body: Body) -> Body:
    """What a prompt says of who pays."""
    account = body.get("account")
    return account if type(account) is dict else {}


def _is_live(session: Session, seq: int) -> bool:
    """Whether the prompt at `seq` runs or waits."""
    if session.is_open and session.opened_seq == seq:
        return True
    return any(waiting.seq == seq for waiting in session.waiting)


def _cost(price: list[int] | None, counts: tuple[int, int, int, int]) -> int:
    """Millionths of a dollar, rounded up; 0 without a price."""
    if price is None:
        return 0
    millionths = sum(one * count for one, count in zip(price, counts, strict=True))
    return -(-millionths // MICROS)


def _estimate(tokens: object) -> tuple[int, int]:
    if type(tokens) is not list or len(tokens) != 2:
        return INPUT_TOKENS, OUTPUT_TOKENS
    first, second = (_count(value) for value in tokens)
    return first, second


_USAGE = (
    "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
)  # fmt: skip


def _counts(usage: object) -> tuple[int, int, int, int]:
    told = usage if type(usage) is dict else {}
    one, two, three, four = (_count(told.get(name)) for name in _USAGE)
    return one, two, three, four


def _count(value: object) -> int:
    return value if type(value) is int and 0 < value <= TOKENS_MAX else 0


def _name(value: object) -> str:
    return value if type(value) is str and len(value) <= NAME_CHARS_MAX else ""


def _body(arrival: Arrival) -> Body:
    """The body; empty when it is not readable."""
    try:
        return arrival.body
    except MalformedTone:
        return {}
