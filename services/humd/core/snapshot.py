"""A snapshot as it is written: what the router knew after one event, line by line.

    {"at_ms", "at_seq", "format", "schema"}     the first line
    [key, value]                                the leaves of the state, sorted by key
    {"owed": [instance, shed, [reference]]}     what bees have not said they received
    {"catch_up": [...]}                         late listeners and where they stand
    {"at_seq", "drift_ms", "drift_seq", "erased_seq", "leaves", "needs_seq", "root"}   the last

The leaves are the state and have the root. The lines behind them are about deliveries, which no
event says; what a bee is owed is named by the event that it is in, so no body is in a snapshot.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from humd.core.arrivals import Arrival, CatchUp
from humd.core.clients import peer_of
from humd.core.leaves import SCHEMA, TABLES, MalformedLeaves, prompts_in, restore
from humd.core.state import State
from thrum import frames
from thrum.canonical import NotCanonical, dumps
from thrum.chi import Chi
from thrum.errors import LocalError
from thrum.frames import Header
from thrum.merkle import Frontier
from thrum.redaction import KnownSecrets
from thrum.snapshots import Leaf, hash_leaf
from thrum.tones import Body

FORMAT = "hum.state/1"
REFERENCES_PER_LINE = 1_024
"""Of one bee; what it is owed beyond is in a further line."""
PATCHED: Mapping[str, tuple[str, ...]] = {
    Chi.TOOL_CALL: ("toolName", "name"),
    Chi.RELEASE_PERMIT: ("askId", "permitId", "decision"),
}
"""What humd writes anew in a body that it hands on. A prompt gets the catalogue besides."""


class NotASnapshot(LocalError):
    """A file that cannot be started from, and why."""


class Reference(NamedTuple):
    """A parcel that a bee is owed."""

    source: int
    """The event that its body is in."""
    header: Header
    patch: Body
    """What was written anew in the body."""


@dataclass(slots=True)
class Owing:
    """What one instance has not said it received."""

    instance: str
    shed_upto: int
    """What was let go of; a bee that lacks some of it is cut off."""
    parcels: list[Reference] = field(default_factory=list)


@dataclass(slots=True)
class Ending:
    """The last line."""

    at_seq: int
    root: str
    leaves: int
    needs_seq: int
    """Every event behind this one is needed to start from here."""
    erased_seq: int
    """The newest `forgotten` event that the state has followed."""
    drift_seq: int
    """Timing records up to this event are on disk."""
    drift_ms: int
    """When the turn of that record ended."""


@dataclass(slots=True)
class Snapshot:
    """A whole snapshot, read."""

    at_ms: int
    ending: Ending
    leaves: list[Leaf]
    owing: list[Owing]
    catch_ups: list[CatchUp]

    @property
    def at_seq(self) -> int:
        """The last event that it covers."""
        return self.ending.at_seq

    def events_needed(self) -> list[int]:
        """Seqs of the events whose bodies it needs, ascending."""
        owed = {parcel.source for one in self.owing for parcel in one.parcels}
        return sorted(owed.union(prompts_in(self.leaves)))

    def state(self, events: Mapping[int, Arrival]) -> State:
        """The state; raises `NotASnapshot` when it is none, or an event is missing."""
        try:
            return restore(self.leaves, events)
        except MalformedLeaves as problem:
            raise NotASnapshot(problem.message) from problem


class LeafLines:
    """The lines of a state's leaves, and their root once all were taken."""

    def __init__(self, state: State, secrets: KnownSecrets | None = None) -> None:
        """`secrets` are overwritten as they are in the log."""
        self._state = state
        self._secrets = secrets or KnownSecrets()
        self._tree = Frontier()
        self.count = 0
        self.prompts_seq = 0
        """The oldest event that a leaf needs; 0 when none does."""

    def __iter__(self) -> Iterator[bytes]:
        for table in TABLES:
            for key, value in table.leaves(table.freeze(self._state)):
                for seq in prompts_in([(key, value)])[:1]:
                    self.prompts_seq = min(self.prompts_seq or seq, seq)
                packed, name = self._secrets.mask(dumps(value)), dumps(key)
                self._tree.append(hash_leaf(key, packed))
                self.count += 1
                yield b"[" + name + b"," + packed + b"]\n"

    def root(self) -> bytes:
        """The root over what was taken."""
        return self._tree.root()


def first_line(at_seq: int, at_ms: int) -> bytes:
    """What a snapshot begins with."""
    fields = {"at_ms": at_ms, "at_seq": at_seq, "format": FORMAT, "schema": SCHEMA}
    return dumps(fields) + b"\n"


def last_lines(owing: Iterable[Owing], catch_ups: Iterable[CatchUp], end: Ending) -> list[bytes]:
    """What stands behind the leaves."""
    lines: list[bytes] = []
    for one in owing:
        for at in range(0, max(len(one.parcels), 1), REFERENCES_PER_LINE):
            parcels = one.parcels[at : at + REFERENCES_PER_LINE]
            run = [[source, list(header), patch] for source, header, patch in parcels]
            lines.append(dumps({"owed": [one.instance, one.shed_upto, run]}))
    lines += [dumps({"catch_up": list(one)}) for one in catch_ups]
    lines.append(dumps({name: getattr(end, name) for name in Ending.__slots__}))
    return [line + b"\n" for line in lines]


def reference(session_seq: int | None, header: Header, raw: bytes) -> Reference:
    """The reference to a parcel; `session_seq` is the prompt of the turn that runs on its sid.

    A prompt that waited is handed on under the number of the event that started its turn.
    """
    source = header.seq
    if header.chi == Chi.PROMPT and session_seq is not None and session_seq < source:
        source = session_seq
    names = PATCHED.get(header.chi, ())
    body = frames.read_body(raw) if names else {}
    return Reference(
        source, header, {name: body[name] for name in names if isinstance(body.get(name), str)}
    )


def parcel_of(state: State, instance: str, one: Reference, arrival: Arrival) -> bytes:
    """The body that `one` is about, as it is to be handed on."""
    if one.patch:
        return frames.pack_body({**arrival.body, **one.patch})
    session = state.sessions.get(one.header.sid)
    if one.header.chi == Chi.PROMPT and peer_of(instance) is None and session is not None:
        return state.catalogue.enrich(arrival.raw, arrival.body, session.asker_tools)
    return arrival.raw


def read_snapshot(data: bytes) -> Snapshot:
    """The snapshot in a file; raises `NotASnapshot`, with the reason, for anything else."""
    if not data.endswith(b"\n"):
        raise NotASnapshot("it ends within a line")
    lines = data[:-1].split(b"\n")
    try:
        return _read(lines)
    except (AttributeError, KeyError, IndexError, NotCanonical, TypeError, ValueError) as problem:
        raise NotASnapshot(f"not a snapshot: {str(problem)[:200]!r}") from problem


def _read(lines: list[bytes]) -> Snapshot:
    first, end = orjson.loads(lines[0]), orjson.loads(lines[-1])
    if first.get("format") != FORMAT or first.get("schema") != SCHEMA:
        raise NotASnapshot(
            f"it is of another version ({first.get('format')}, {first.get('schema')})"
        )
    ending = Ending(**end)
    leaves: list[Leaf] = []
    owing: dict[str, Owing] = {}
    catch_ups: list[CatchUp] = []
    tree = Frontier()
    for line in lines[1:-1]:
        fields: Any = orjson.loads(line)
        if type(fields) is list:
            key, value = fields
            tree.append(hash_leaf(key, line[len(dumps(key)) + 2 : -1]))
            leaves.append((key, value))
        elif "owed" in fields:
            instance, shed_upto, parcels = fields["owed"]
            one = owing.setdefault(instance, Owing(instance, shed_upto))
            one.parcels += [
                Reference(source, Header(*header), patch) for source, header, patch in parcels
            ]
        else:
            catch_ups.append(CatchUp(*fields["catch_up"]))
    if ending.at_seq != first["at_seq"] or ending.leaves != len(leaves):
        raise NotASnapshot(f"it has {len(leaves)} leaves and says {ending.leaves}")
    if tree.root().hex() != ending.root:
        raise NotASnapshot("its leaves do not have its root")
    return Snapshot(first["at_ms"], ending, leaves, list(owing.values()), catch_ups)
