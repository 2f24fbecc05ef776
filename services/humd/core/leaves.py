"""The state as sorted leaves (key to JSON value), and leaves as the state again.

| key | value |
|---|---|
| `bee/<client>` | a `Client` |
| `call/<callee and call id>` | a `Call` |
| `link/<instance>` | the last link number of one that left |
| `rids/<hid>` | recent rids of a hid behind doors |
| `sid/<sid>` | a `Session`, its place among the closed ones, when its turn is to be cancelled |
| `state` | what there is once |

Everything that decides anything later is in a leaf: a start from leaves and the events behind them
comes to the same state as a start from nothing, and so to the same leaves. `n` is the place in the
table, because the order of most tables decides something. Bodies of prompts that wait stay in the
log; their session's leaf names them by seq.

A field of a record comes by itself (`core.records`). A table that is added to the state goes into
`TABLES` or `DERIVED`; tests/unit/humd/test_leaves.py fails until it does.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from humd.core.clients import RIDS_MAX, Client
from humd.core.records import Prompts, Record
from humd.core.sessions import Call, Session
from humd.core.state import State
from thrum.canonical import dumps
from thrum.errors import LocalError
from thrum.snapshots import Leaf

DERIVED = {
    "State._catalogue": "made of the clients when a prompt needs it",
    "State._offers": "which clients the catalogue was made of",
    "State._workers": "made of the clients when somebody asks",
    "State._generation": "which clients the workers were taken from",
    "Clients.generation": "only compared with an earlier value in the same process",
    "Clients.offers": "only compared with an earlier value in the same process",
    "Calls._by_caller": "another view of the calls that wait",
}
"""What a state holds and no leaf does, and why that is no loss."""
RULES = 1
"""Rises when the router comes to another state from the same events, so that what an older one
wrote is not taken for ours."""


Rows = list[tuple[str, Any]]
"""Rows of one table, by the end of their keys, in the order of the table."""


class MalformedLeaves(LocalError):
    """Leaves that are no state of this router."""


@dataclass(frozen=True, slots=True)
class Table:
    """One kind of leaf."""

    prefix: str
    holds: tuple[str, ...]
    """The attributes of the state's objects that are in these leaves."""
    freeze: Callable[[State], Rows]
    """Copy what is there now, as quickly as can be: nothing is routed meanwhile."""
    write: Callable[[Any], Any]
    """The JSON value of a frozen row."""
    restore: Callable[[State, Rows, Prompts], None]
    """Put rows, in their order, into a state that has none."""


Frozen = list[tuple[Table, Rows]]
"""A state as it was; what happens later does not change it."""


def freeze(state: State) -> Frozen:
    """Copy the state, quickly: 20,000 sessions in some 20 ms. `leaves` does the rest at leisure."""
    return [(table, table.freeze(state)) for table in TABLES]


def leaves(frozen: Frozen) -> Iterator[Leaf]:
    """The leaves of a frozen state, sorted by key."""
    for table, rows in frozen:
        for name, row in sorted(rows, key=_name_of):
            yield table.prefix + name, table.write(row)


def prompts_in(found: Iterable[Leaf]) -> list[int]:
    """Seqs of the events that `restore` needs for these leaves, ascending."""
    waiting = (value["waiting"] for key, value in found if _is_session(key) and "waiting" in value)
    return sorted(seq for seqs in waiting for seq in seqs)


def restore(found: Iterable[Leaf], prompts: Prompts) -> State:
    """The state that has these leaves, which are sorted by key. Raises `MalformedLeaves`."""
    state = State()
    try:
        for table, group in groupby(found, lambda leaf: _table_of(leaf[0])):
            rows = [(key[len(table.prefix) :], value) for key, value in group]
            table.restore(state, sorted(rows, key=_place_of), prompts)
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        raise MalformedLeaves(f"not the leaves of a state: {problem!r}") from problem
    return state


def _table_of(key: str) -> Table:
    kind, slash, _ = key.partition("/")
    return _BY_PREFIX[kind + slash]


def _is_session(key: str) -> bool:
    return key.startswith("sid/")


def _name_of(row: tuple[str, Any]) -> str:
    return row[0]


def _place_of(row: tuple[str, Any]) -> int:
    place: int = row[1].get("n", 0)
    return place


_CLIENT, _CALL, _SESSION = Record(Client), Record(Call), Record(Session)


def _freeze_bees(state: State) -> Rows:
    bees = state.clients.by_id.items()
    return [(name, (n, _CLIENT.freeze(client))) for n, (name, client) in enumerate(bees)]


def _restore_bees(state: State, rows: Rows, prompts: Prompts) -> None:
    for name, value in rows:
        state.clients.by_id[name] = _CLIENT.read(value, prompts)


def _freeze_calls(state: State) -> Rows:
    calls = enumerate(state.calls.waiting.values())
    return [
        (dumps([call.callee, call.call_id]).decode(), (n, _CALL.freeze(call))) for n, call in calls
    ]


def _restore_calls(state: State, rows: Rows, prompts: Prompts) -> None:
    for _, value in rows:
        state.calls.add(_CALL.read(value, prompts))


def _freeze_links(state: State) -> Rows:
    return [(name, (n, link)) for n, (name, link) in enumerate(state.clients.links.items())]


def _restore_links(state: State, rows: Rows, _: Prompts) -> None:
    state.clients.links.update((name, value["link"]) for name, value in rows)


def _freeze_rids(state: State) -> Rows:
    kept = enumerate(state.clients.rids.items())
    return [(hid, (n, tuple(rids))) for n, (hid, rids) in kept]


def _restore_rids(state: State, rows: Rows, _: Prompts) -> None:
    for hid, value in rows:
        state.clients.rids[hid] = deque(value["rids"], maxlen=RIDS_MAX)


def _freeze_sessions(state: State) -> Rows:
    closed = {sid: n for n, sid in enumerate(state.sessions.closed)}
    orphaned = state.sessions.orphaned
    return [
        (sid, (n, closed.get(sid), orphaned.get(sid), _SESSION.freeze(session)))
        for n, (sid, session) in enumerate(state.sessions.by_sid.items())
    ]


def _write_session(row: tuple[int, int | None, int | None, tuple[Any, ...]]) -> dict[str, Any]:
    n, closed, orphan_ms, frozen = row
    value = {**_SESSION.write(frozen), "n": n}
    if closed is not None:
        value["closed"] = closed
    if orphan_ms is not None:
        value["orphan_ms"] = orphan_ms
    return value


def _restore_sessions(state: State, rows: Rows, prompts: Prompts) -> None:
    sessions = state.sessions
    for sid, value in rows:
        sessions.by_sid[sid] = _SESSION.read(value, prompts)
    places = ((value["closed"], sid) for sid, value in rows if "closed" in value)
    sessions.closed.update((sid, None) for _, sid in sorted(places))
    late = ((sid, value["orphan_ms"]) for sid, value in rows if "orphan_ms" in value)
    sessions.orphaned.update(late)


def _freeze_rest(state: State) -> Rows:
    return [("", state.default_hive)]


def _restore_rest(state: State, rows: Rows, _: Prompts) -> None:
    for _, value in rows:
        state.default_hive = value["default_hive"]


TABLES = (
    Table(
        "bee/",
        ("State.clients", "Clients.by_id"),
        _freeze_bees,
        lambda row: {**_CLIENT.write(row[1]), "n": row[0]},
        _restore_bees,
    ),
    Table(
        "call/",
        ("State.calls", "Calls.waiting"),
        _freeze_calls,
        lambda row: {**_CALL.write(row[1]), "n": row[0]},
        _restore_calls,
    ),
    Table(
        "link/",
        ("Clients.links",),
        _freeze_links,
        lambda row: {"link": row[1], "n": row[0]},
        _restore_links,
    ),
    Table(
        "rids/",
        ("Clients.rids",),
        _freeze_rids,
        lambda row: {"n": row[0], "rids": list(row[1])},
        _restore_rids,
    ),
    Table(
        "sid/",
        ("State.sessions", "Sessions.by_sid", "Sessions.closed", "Sessions.orphaned"),
        _freeze_sessions,
        _write_session,
        _restore_sessions,
    ),
    Table(
        "state",
        ("State.default_hive",),
        _freeze_rest,
        lambda default_hive: {"default_hive": default_hive},
        _restore_rest,
    ),
)
"""Sorted by prefix, so that going through them gives the leaves in order."""
_BY_PREFIX = {table.prefix: table for table in TABLES}
SCHEMA = hashlib.sha256(
    dumps([RULES, _CALL.schema, _CLIENT.schema, _SESSION.schema, [t.holds for t in TABLES]])
).hexdigest()[:16]
"""Names what the leaves can hold; leaves of another schema may lack something."""
