"""A log of every kind of file, changed in every way: `verify` names what is wrong, or it is void.

Mutations are of bytes (changed, cut, doubled, put in, swapped, a file gone) and of events (changed,
dropped, doubled, swapped, moved in time, signed with another key, an end cut off, another key put
in), in segments plain, compressed and sealed anew with all their checksums. After each, `verify
--full` must say which event is the first that is wrong, or which file, and which property failed.

What is *void* changes nothing that a log says, and is told apart here by other means than `verify`:

- zeros behind the last event, of which there may be any number;
- bytes there that no signature covers, as a write leaves that goes on: `verify` tells how many;
- a remembered head (`seq.bin`) below the real one: it is written now and then, and may be behind;
- JSON beside the log that reads as before;
- a signature taken off an event that a later one covers: the event is what it was, and proven;
- the newest checkpoint, when it is not there at all: it is signed anew from the events;
- a signature below a note that stands there twice;
- bytes behind the last body, which a crash may leave and the next start cuts off.
"""

import os
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.faults.rigs.chance import SEED, chance
from tests.unit.thehum.chains import START_MS, keep

from hum.thehum_verbs import thehum
from nest.paths import Paths
from nest.private import replace_private
from thehum.core.bodies import Via, read_drafts
from thehum.core.events import MalformedEvent, read_event, split_line, stored_line
from thehum.core.names import packed_name
from thehum.core.sealed import Packer, is_packed, unpack
from thehum.edge.checkpoints import Checkpoints
from thehum.edge.keys import Keyring
from thehum.edge.log import Log
from thrum import frames
from thrum.canonical import dumps
from thrum.frames import Header
from thrum.keys import SigningKey

pytestmark = [pytest.mark.process, pytest.mark.timeout(3_600)]
GROUP, GROUPS = 6, 46
SEGMENT_BYTES = 40 * 1024
QUICK, SOAK = 120, 10_000
THIEF = SigningKey.from_seed(b"t" * 32)


@dataclass(frozen=True, slots=True)
class Change:
    """What was done to one file."""

    path: Path
    before: bytes
    after: bytes | None
    """None: the file is gone."""
    what: str

    @property
    def where(self) -> int:
        """The first byte that differs."""
        after = self.after or b""
        pairs = zip(self.before, after, strict=False)
        return next((at for at, (one, other) in enumerate(pairs) if one != other), len(after))


class Victim:
    """The log, and what was done to it."""

    def __init__(self, home: Path) -> None:
        places = ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR")
        self.env = {name: str(home / name.lower()) for name in places}
        self.paths = Paths.from_environment(self.env)
        self.root = self.paths.thehum
        self._build()
        self.files = sorted(path for path in self.root.rglob("*") if path.is_file())
        self.files = [path for path in self.files if path.name not in ("lock", "spare.ndjson")]
        assert self.verdict()["ok"], self.verdict()

    def _build(self) -> None:
        keyring = Keyring(self.paths)
        log = Log(self.root, keyring.identity, segment_bytes=SEGMENT_BYTES)
        keyring.settle(log)
        heads = Checkpoints(log, self.root, now=0.0)
        for number in range(GROUPS):
            if number == GROUPS // 2:
                keyring.rotate(log)
            self._group(log, number)
        while log.compress() and not (self.root / packed_name(1)).exists():
            pass
        heads.finish()
        log.close()

    def _group(self, log: Log, number: int) -> None:
        """Some events; the body of one of them goes beside the log."""
        parcels = b"".join(
            frames.pack(Header("chunk" if at else "prompt", f"r{number}-{at}", f"s{at % 2}"),
                        {"delta": f"token {number}-{at}", "cost": 0.5})
            for at in range(GROUP)
        )  # fmt: skip
        via = Via(f"e.{number + 1}", "c", None)
        builder = log.builder()
        drafts, asides = read_drafts(
            parcels,
            via=via,
            mint=lambda: "rid",
            keep=keep(sensitive=frozenset({"prompt"})),
            first_seq=builder.next_seq,
        )
        builder.add(drafts, START_MS + number)
        log.append(builder.seal(), None, asides)

    def verdict(self) -> dict[str, Any]:
        """What `hum thehum verify --full` says, and its exit status."""
        done = CliRunner().invoke(
            thehum, ["verify", "--full", "--json"], env=self.env, standalone_mode=False
        )
        try:
            said: dict[str, Any] = orjson.loads(done.stdout)
        except orjson.JSONDecodeError:
            problem = str(getattr(done.exception, "message", repr(done.exception)))
            said = {"ok": False, "error": problem, "type": type(done.exception).__name__}
        return {**said, "exit": done.return_value}

    def undo(self, change: Change) -> None:
        replace_private(change.path, change.before)

    def apply(self, change: Change) -> None:
        if change.after is None:
            change.path.unlink()
        else:
            replace_private(change.path, change.after)


# --- what is done


def of_bytes(victim: Victim, dice: random.Random) -> Change:
    """Something done to the bytes of any file."""
    path = dice.choice(victim.files)
    data = path.read_bytes()
    at, other = sorted(dice.randrange(len(data)) for _ in range(2))
    size = dice.randrange(1, 1 + min(4096, len(data)))
    rotten = bytes([data[at] ^ 1 << dice.randrange(8)])
    what = dice.choice(["flip", "flip", "flip", "cut", "delete", "insert", "double", "swap", "gone",
                        "zero", "empty"])  # fmt: skip
    after: bytes | None = {
        "flip": data[:at] + rotten + data[at + 1 :],
        "cut": data[:at],
        "delete": data[:at] + data[at + size :],
        "insert": data[:at] + dice.randbytes(size) + data[at:],
        "double": data[: at + size] + data[at:],
        "swap": _blocks_swapped(data, at, other, size),
        "zero": data[:at] + bytes(min(size, len(data) - at)) + data[at + size :],
        "gone": None,
        "empty": b"",
    }[what]  # fmt: skip
    return Change(path, data, after, f"{what} {path.name}")


def _blocks_swapped(data: bytes, at: int, other: int, size: int) -> bytes:
    size = min(size, other - at)
    one, two = data[at : at + size], data[other : other + size]
    return data[:at] + two + data[at + size : other] + one + data[other + size :]


def of_events(victim: Victim, dice: random.Random) -> Change:
    """Something done to the events of a segment; a compressed one is sealed anew."""
    segments = [path for path in victim.files if path.suffix in (".ndjson", ".packed")
                and path.name != "keys.ndjson"]  # fmt: skip
    path = dice.choice(segments)
    stored = path.read_bytes()
    lines = unpack(stored)[0].rstrip(b"\0").split(b"\n")[:-1]
    at, other = dice.randrange(len(lines)), dice.randrange(len(lines))
    what = dice.choice(list(EVENT_CHANGES))
    changed = EVENT_CHANGES[what](list(lines), at, other)
    return Change(path, stored, _file(path, changed, stored), f"{what} in {path.suffix}")


def _file(path: Path, lines: list[bytes], stored: bytes) -> bytes:
    plain = b"".join(line + b"\n" for line in lines)
    if not is_packed(stored):
        return plain + bytes(len(stored) - len(stored.rstrip(b"\0")))
    packer = Packer(int(path.stem))
    return packer.pack(plain) + packer.finish() if plain else packer.finish()


def _edited(line: bytes, **fields: Any) -> bytes:
    event = orjson.loads(line)
    event.update({key: value for key, value in fields.items() if key != "body"})
    made = read_event(line)
    body = dumps(fields["body"]) if "body" in fields else made.body
    kept = {
        key: event[key]
        for key in ("author", "chi", "prev_hash", "rid", "seq", "sid", "sig", "ts_ms")
    }
    return stored_line(type(made)(body=body, **kept))[:-1]


def _signed_by(line: bytes, key: SigningKey) -> bytes:
    canonical, _ = split_line(line)
    return _edited(line, sig=key.sign(canonical).hex())


def _rewritten(lines: list[bytes], at: int) -> list[bytes]:
    """History from an event on, written anew by somebody with another key."""
    from hashlib import sha256

    changed = [*lines[:at], _edited(lines[at], body={"delta": "another"})]
    for line in lines[at + 1 :]:
        before = sha256(split_line(changed[-1])[0]).hexdigest()
        changed.append(_edited(line, prev_hash=before))
    return [
        _signed_by(line, THIEF) if number >= at and orjson.loads(line)["sig"] else line
        for number, line in enumerate(changed)
    ]


def _dropped(lines: list[bytes], at: int, _: int) -> list[bytes]:
    return lines[:at] + lines[at + 1 :]


def _swapped(lines: list[bytes], at: int, other: int) -> list[bytes]:
    lines[at], lines[other] = lines[other], lines[at]
    return lines


def _replaced(
    make: Callable[[bytes, bytes], bytes],
) -> Callable[[list[bytes], int, int], list[bytes]]:
    def change(lines: list[bytes], at: int, other: int) -> list[bytes]:
        lines[at] = make(lines[at], lines[other])
        return lines

    return change


def _unsigned(line: bytes, _: bytes) -> bytes:
    return _edited(line, sig=None)


EVENT_CHANGES: dict[str, Callable[[list[bytes], int, int], list[bytes]]] = {
    "drop": _dropped,
    "double": lambda lines, at, _: lines[: at + 1] + lines[at:],
    "swap": _swapped,
    "cut": lambda lines, at, _: lines[:at],
    "begin later": lambda lines, at, _: lines[at:],
    "rewrite": lambda lines, at, _: _rewritten(lines, at),
    "replace": _replaced(lambda line, other: other),
    "say": _replaced(lambda line, _: _edited(line, body={"delta": "another"})),
    "rename": _replaced(lambda line, _: _edited(line, rid="another", sid="another")),
    "renumber": _replaced(lambda line, _: _edited(line, seq=orjson.loads(line)["seq"] + 1)),
    "relink": _replaced(lambda line, _: _edited(line, prev_hash="ab" * 32)),
    "date": _replaced(lambda line, _: _edited(line, ts_ms=orjson.loads(line)["ts_ms"] + 1)),
    "predate": _replaced(lambda line, _: _edited(line, ts_ms=1)),
    "sign": _replaced(lambda line, _: _signed_by(line, THIEF)),
    "unsign": _replaced(_unsigned),
    "borrow a signature": _replaced(
        lambda line, other: _edited(line, sig=orjson.loads(other)["sig"])
    ),
    "space": _replaced(lambda line, _: line.replace(b'"delta":', b'"delta": ', 1)),
    "key": _replaced(lambda line, _: _edited(line, chi="key-rotate")),
}


# --- what it comes to


def lines_in(data: bytes) -> list[bytes]:
    return unpack(data)[0].rstrip(b"\0").split(b"\n")[:-1]


def events_in(path: Path, data: bytes) -> list[bytes]:
    """What the events of a segment's file say, without their signatures."""
    said = []
    for line in unpack(data)[0].rstrip(b"\0").split(b"\n")[:-1]:
        try:
            said.append(split_line(line)[0])
        except MalformedEvent:
            said.append(line)
    return said


def is_void(victim: Victim, change: Change) -> str | None:
    """Why a change changes nothing; None when it changes something."""
    before, after, path = change.before, change.after, change.path
    if before == after:
        return "nothing changed"
    if path.name == "seq.bin":
        head = int.from_bytes(before[:8], "big")
        return (
            "a head remembered late" if int.from_bytes((after or b"")[:8], "big") <= head else None
        )
    if after is None:
        return "a checkpoint that is signed anew" if path.name == "checkpoint" else None
    if path.suffix in (".json", "") and path.parent.name != "tiles" and _reads_alike(before, after):
        return "JSON that reads as before"
    if path.suffix == ".ndjson" and path.name != "keys.ndjson" and not is_packed(after):
        if before.rstrip(b"\0") == after.rstrip(b"\0"):
            return "zeros behind the last event"
        if after.startswith(before.rstrip(b"\0")) and before.endswith(b"\0"):
            return "bytes behind the last event, which verify tells"
        whole = after.rstrip(b"\0").endswith(b"\n")
        if whole and _is_unsigned_only(victim, path, before, after):
            return "a signature that a later one makes superfluous"
    if path.suffix == ".packed" and is_packed(after) and unpack(after)[1]:
        if unpack(before)[0] == unpack(after)[0]:
            return "sealed anew as it was"
        if _is_unsigned_only(victim, path, before, after):
            return "a signature that a later one makes superfluous"
    if path.name == "checkpoint" and _signed_alike(before, after):
        return "a note that is signed twice"
    if path.suffix == ".bodies" and after.startswith(before):
        return "bytes behind the last body"
    return None


def _is_unsigned_only(victim: Victim, path: Path, before: bytes, after: bytes) -> bool:
    """Whether all that changed is that events which later ones cover have no signature any more.

    Not so events about keys, which are signed by themselves, and the last event of the log.
    """
    if events_in(path, before) != events_in(path, after):
        return False
    pairs = list(zip(lines_in(before), lines_in(after), strict=True))
    changed = [(one, other) for one, other in pairs if one != other]
    is_newest = path == max(
        one for one in victim.files if one.stem.isdecimal() and one.parent == victim.root
    )
    if is_newest and pairs[-1] in changed:
        return False
    return all(b',"sig":null' in other and b'"key-' not in other for _, other in changed)


def _signed_alike(before: bytes, after: bytes) -> bool:
    """Whether two notes have the same text, and the same signatures however often."""
    (text, below), (other, beside) = (note.split(b"\n\n", 1) for note in (before, after + b"\n\n"))
    return text == other and set(below.splitlines()) == set(beside.splitlines()) - {b""}


def _reads_alike(before: bytes, after: bytes) -> bool:
    try:
        return bool(orjson.loads(before) == orjson.loads(after))
    except orjson.JSONDecodeError:
        return False


def named(victim: Victim, change: Change, said: dict[str, Any]) -> str | None:
    """Which property was named; None when nothing was, or not the right place."""
    if said["ok"] or said["exit"] == 0:
        return None
    if "error" in said:
        return f"error: {said['type']}" if said["type"] != "NoneType" else None
    if said["damage"] is not None:
        return _right_place(change, said["damage"])
    if said["tile"] is not None:
        return f"tile {said['tile']['reason']}" if change.path.parent.name == "tiles" else None
    if said["keys_flaw"] is not None:
        return "keys.ndjson" if change.path.name == "keys.ndjson" else None
    bodies = said["bodies"] or {"changed": [], "lost": []}
    if bodies["changed"] or bodies["lost"]:
        return "bodies" if change.path.suffix == ".bodies" else None
    heads = [head["reason"] for head in said["heads"] if head["reason"] is not None]
    return "checkpoint" if heads and change.path.name == "checkpoint" else None


def _right_place(change: Change, damage: dict[str, Any]) -> str | None:
    """The flaw, when it is in the commit group of the first event that was changed."""
    if change.path.suffix not in (".ndjson", ".packed") or change.path.name == "keys.ndjson":
        return str(damage["flaw"])  # of `seq.bin`, `author.json`: something about the whole log
    first = int(change.path.stem)
    before, after = lines_in(change.before), lines_in(change.after or b"")
    same = next(
        (at for at, (one, other) in enumerate(zip(before, after, strict=False)) if one != other),
        min(len(before), len(after)),
    )
    lines = before
    seqs = range(first, first + len(lines) + 1)
    ends = [seq for seq, line in zip(seqs, lines, strict=False) if b',"sig":"' in line]
    least = max([end for end in ends if end < first + same] or [first - 1]) + 1
    most = next((end for end in ends if end >= first + same), first + len(lines)) + 1
    is_signature = damage["flaw"] in ("signature", "storage", "form")
    return str(damage["flaw"]) if is_signature or least <= damage["seq"] <= most else None


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Victim:
    return Victim(tmp_path_factory.mktemp("log"))


def tried(victim: Victim, change: Change) -> tuple[str, str]:
    """What became of a change: `named`, `void` or `missed`, and by what."""
    void = is_void(victim, change)
    victim.apply(change)
    try:
        said = victim.verdict()
    finally:
        victim.undo(change)
    if void is not None:
        return "void", void
    name = named(victim, change, said)
    return (
        ("named", name)
        if name is not None
        else ("missed", f"{change.what} at {change.where}: {said}")
    )


def run(victim: Victim, dice: random.Random, count: int) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for _ in range(count):
        make = dice.choice((of_bytes, of_events))
        found[tried(victim, make(victim, dice))] += 1
    missed = [what for (how, what), _ in found.items() if how == "missed"]
    assert missed == [], f"FAULTS_SEED={SEED}: {len(missed)}, {missed[:3]}"
    return found


def test_whatever_is_changed_is_named(victim: Victim) -> None:
    found = run(victim, chance(), QUICK)

    assert sum(count for (how, _), count in found.items() if how == "named") > QUICK // 2


@pytest.mark.soak
def test_ten_thousand_changes_are_named(victim: Victim, capsys: pytest.CaptureFixture[str]) -> None:
    found = run(victim, chance(), SOAK)

    with capsys.disabled():
        for (how, what), count in sorted(found.items()):
            os.write(1, f"{how:6} {count:6} {what}\n".encode())


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_hypothesis_finds_no_change_that_passes(victim: Victim, seed: int) -> None:
    dice = random.Random(seed)
    how, what = tried(victim, dice.choice((of_bytes, of_events))(victim, dice))

    assert how != "missed", what


def test_control_a_verifier_that_only_parses_misses_most(victim: Victim) -> None:
    def parses(data: bytes) -> bool:
        lines = unpack(data)[0].rstrip(b"\0").split(b"\n")[:-1]
        try:
            return [orjson.loads(line)["seq"] for line in lines] != []
        except (orjson.JSONDecodeError, KeyError):
            return False

    dice = random.Random(1)
    changes = [of_events(victim, dice) for _ in range(60)]

    assert sum(parses(change.after or b"") for change in changes) > 40
