"""The state as sorted leaves (key to JSON value), and leaves as the state again.

Everything that decides anything later is in a leaf: a start from leaves and the events behind them
comes to the same state as a start from nothing, and so to the same leaves. Bodies of prompts that
wait stay in the log; leaves name them by seq.

A field of a record comes by itself (`core.records`). An attribute of any other object of the state
goes into `TABLES`, or with its reason into `DERIVED`; what is derived of the rest and not made when
it is asked for is made by that object's `reindex`. tests/unit/humd/test_leaves.py fails until this
is done. Three layouts:

    EACH    one leaf for each record, `<key>/<name>`, with `n`, its place in the table
    RUNS    `RUN` entries in a leaf, `<key>/<number>`, in the order of the table
    WHOLE   one leaf, `<key>`
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from itertools import islice
from typing import Any

import orjson

from humd.core.arrivals import ClientId
from humd.core.asks import Ask, AskState
from humd.core.basis import Basis
from humd.core.calls import Call
from humd.core.clients import Client
from humd.core.links import Links
from humd.core.records import Codec, Prompts, codec_of, mapping
from humd.core.sessions import Numbers, Session
from humd.core.spending import Hold, Place, Row
from humd.core.state import State
from humd.core.watch import Turn
from thrum.canonical import dumps
from thrum.errors import LocalError
from thrum.snapshots import Leaf

# user: the test that finds what is in no leaf
DERIVED = {
    "State._catalogue": "made of the clients when a prompt needs it",
    "State._offers": "which clients the catalogue was made of",
    "State._workers": "made of the clients when somebody asks",
    "State._generation": "which clients the workers were taken from",
    "Clients._behind": "another view of the clients",
    "Clients._by_hid": "another view of the clients",
    "Clients._bees": "made of the clients when somebody asks",
    "Clients._bees_generation": "which clients the bees were taken from",
    "Clients.generation": "only compared with an earlier value in the same process",
    "Clients.offers": "only compared with an earlier value in the same process",
    "Calls._by_caller": "another view of the calls",
    "Calls._by_callee": "another view of the calls",
    "Asks._by_sid": "another view of the asks that wait",
    "Sessions._by_client": "another view of the sessions",
    "Sessions.waiting_bytes": "counted anew from the prompts that wait",
    "Sessions._wanes": "the state's watch",
    "State.rules": "made of the basis",
    "Spending.prices": "part of the basis",
    "Spending._by_window": "another view of the rows",
    "Spending._by_sid": "another view of what is held",
    "Spending._rows_of": "another view of what is held",
    "Spending._known": "looked up in the prices when somebody asks",
    "Watch.nest": "part of the basis",
    "Watch.classify": "named by the basis",
}
"""What a state holds and no leaf does, and why that is no loss."""
RULES = 6
"""Rises when the router comes to another state from the same events, so that what an older one
wrote is not taken for ours."""
RUN = 256
"""Entries in one leaf of layout `RUNS`."""


class MalformedLeaves(LocalError):
    """Leaves that are no state of this router."""


class Layout(Enum):
    """See the module."""

    EACH = auto()
    RUNS = auto()
    WHOLE = auto()


@dataclass(frozen=True)
class Table:
    """One attribute of an object of the state."""

    key: str
    path: str
    """From the state to the attribute."""
    hint: Any
    """Its type, or of an attribute with entries what they are: (key, value)."""
    layout: Layout = Layout.WHOLE

    @cached_property
    def codec(self) -> Codec:
        """How the attribute is written; its entries as pairs."""
        if self.layout is Layout.WHOLE:
            return codec_of(self.hint)
        return mapping(OrderedDict, *self.hint)

    def place(self, state: State) -> tuple[Any, str]:
        """The object and the name of the attribute."""
        found: Any = state
        *objects, name = self.path.split(".")
        for each in objects:
            found = getattr(found, each)
        return found, name

    def freeze(self, state: State) -> Any:
        """Copy what is there now, as quickly as can be: nothing is routed meanwhile."""
        value = getattr(*self.place(state))
        return self.codec.copy(value) if self.codec.copy else value

    def leaves(self, frozen: Any) -> Iterator[Leaf]:
        """The leaves of what was frozen, sorted."""
        write = self.codec.write
        if self.layout is Layout.EACH:
            assert write is not None
            names = sorted((_name(pair[0]), n) for n, pair in enumerate(frozen))
            for name, n in names:
                ((_, value),) = write(frozen[n : n + 1])
                yield f"{self.key}/{name}", {**value, "n": n}
        elif self.layout is Layout.RUNS:
            rest = iter(frozen)
            for number in range(-(-len(frozen) // RUN)):
                run = list(islice(rest, RUN))
                yield f"{self.key}/{number:08d}", write(run) if write else run
        else:
            yield self.key, write(frozen) if write else frozen

    def restore(self, state: State, found: list[Leaf], prompts: Prompts) -> None:
        """Put what the leaves of this table hold into a state that has none."""
        owner, name = self.place(state)
        if self.layout is Layout.WHOLE:
            for _, value in found:
                setattr(owner, name, self.codec.read(value, prompts))
            return
        entries = [one for _, run in found for one in run]
        if self.layout is Layout.EACH:
            in_place = sorted(found, key=lambda leaf: leaf[1]["n"])
            entries = [
                [_unnamed(key[len(self.key) + 1 :], self.hint[0]), _without_place(value)]
                for key, value in in_place
            ]
        getattr(owner, name).update(self.codec.read(entries, prompts))


def _name(key: Any) -> str:
    """The end of a leaf's key."""
    return key if type(key) is str else dumps(list(key)).decode()


def _without_place(value: Any) -> Any:
    return {name: held for name, held in value.items() if name != "n"}


def _unnamed(name: str, hint: Any) -> Any:
    return name if hint is str else tuple(orjson.loads(name))


_PAIR = tuple[str, str]
TABLES = (
    Table("active", "sessions._active", (str, None), Layout.RUNS),
    Table("adrift", "clients._adrift", (ClientId, int), Layout.RUNS),
    Table("ask", "asks.pending", (_PAIR, Ask), Layout.EACH),
    Table("asks", "asks.counts", dict[AskState, int]),
    Table("basis", "basis", Basis),
    Table("bee", "clients.by_id", (ClientId, Client), Layout.EACH),
    Table("call", "calls.waiting", (_PAIR, Call), Layout.EACH),
    Table("closed", "sessions._closed", (str, None), Layout.RUNS),
    Table("erased", "erased_seq", int),
    Table("forgotten", "watch.wanes.forgotten", int),
    Table("held", "spending.held", (int, Hold), Layout.RUNS),
    Table("links", "clients._links", (ClientId, Links), Layout.RUNS),
    Table("numbers", "sessions._numbers", (str, Numbers), Layout.RUNS),
    Table("orphans", "sessions._orphans", (str, int), Layout.RUNS),
    Table("over", "asks._over", (int, Ask), Layout.RUNS),
    Table("penny", "watch.penny.counters", (str, int), Layout.RUNS),
    Table("rids", "clients._rids", (str, OrderedDict[str, int]), Layout.RUNS),
    Table("row", "spending.rows", (Place, Row), Layout.RUNS),
    Table("sid", "sessions.by_sid", (str, Session), Layout.EACH),
    Table("silent", "watch.silent", set[ClientId]),
    Table("turn", "watch.turns", (str, Turn), Layout.EACH),
    Table("uncounted", "watch.penny.ignored", int),
    Table("wanes", "watch.wanes._counters", (str, int), Layout.RUNS),
)
SCHEMA = hashlib.sha256(
    dumps([RULES, RUN, [[one.key, one.path, one.codec.schema] for one in TABLES]])
).hexdigest()[:16]
"""Names what leaves can hold. Those of another schema may lack something."""


Frozen = list[tuple[Table, Any]]
"""A state as it was; what happens later does not change it."""


def freeze(state: State) -> Frozen:
    """Copy the state, quickly; `leaves` does the rest at leisure."""
    return [(table, table.freeze(state)) for table in TABLES]


def leaves(frozen: Frozen) -> Iterator[Leaf]:
    """The leaves of a frozen state, sorted by key."""
    for table, held in frozen:
        yield from table.leaves(held)


def restore(found: Iterable[Leaf], prompts: Prompts) -> State:
    """The state that has these leaves. Raises `MalformedLeaves`."""
    state = State()
    by_key: dict[str, list[Leaf]] = {table.key: [] for table in TABLES}
    try:
        for leaf in found:
            by_key[leaf[0].partition("/")[0]].append(leaf)
        for table in TABLES:
            table.restore(state, by_key[table.key], prompts)
        state.reindex()
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        raise MalformedLeaves(f"not the leaves of a state: {problem!r}") from problem
    return state


def prompts_in(found: Iterable[Leaf]) -> list[int]:
    """Seqs of the events that `restore` needs for these leaves, ascending."""
    seqs: set[int] = set()
    for key, value in found:
        if key.startswith("sid/"):
            seqs.update(value.get("waiting", ()))
            seqs.update([value["prompt"]] if "prompt" in value else ())
    return sorted(seqs)
