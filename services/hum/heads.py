"""Compare the log with what was signed for it: by itself, and by witnesses below that.

A signed root says how long the log was and what was in it. The log still continues it when event
`size`, as it stands in the log, is the last leaf below that root: its hash covers all before it.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from hum.log_files import Files, fields_of
from hum.proof_verbs import inclusion_of
from thehum.core.anchors import BadReceipt, read_receipt
from thehum.core.audit import Report
from thehum.core.cosigned import Cosigned, read_cosigned
from thehum.core.keys import KeyChain
from thehum.core.names import ANCHORS, CHECKPOINT, COSIGNED_DIR, is_record
from thehum.core.notes import BadNote, Checkpoint, open_checkpoint
from thrum.errors import LocalError

OWN = "checkpoint"
"""Signed by the log itself."""
RECEIPTS_MAX = 1_000
"""Receipts that are looked at, the newest."""
NOTE_BYTES_MAX = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadVerdict:
    """Whether the log continues one signed root."""

    by: str
    """`OWN`, or the hid of the witness who signed below it."""
    size: int
    at_seconds: int | None
    """When the witness signed."""
    reason: str | None
    """Why it does not; None when it does."""


Found = tuple[str, bytes]
"""Who signed, and the file that says so."""


def read_heads(witness: Path | None) -> list[Found]:
    """Everything that was signed for the log, to be read before the log itself, which may grow.

    `witness` is a file with a note about this log that somebody else kept.
    """
    log = Files()
    found = list(_own(log))
    return found if witness is None else [*found, _kept_elsewhere(witness)]


def check_heads(log: Files, report: Report, found: Iterable[Found]) -> list[HeadVerdict]:
    """Compare the log with what was signed for it; `report` says how far it goes, and its keys."""
    return [_judged(log, report.head.seq, by, _opened(report.keys, by, data)) for by, data in found]


def _own(log: Files) -> Iterator[Found]:
    with suppress(FileNotFoundError):
        yield OWN, (log.root / CHECKPOINT).read_bytes()
    folder = log.root / COSIGNED_DIR
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    for name in filter(is_record, names):
        yield name.removesuffix(".json"), (folder / name).read_bytes()


def _kept_elsewhere(path: Path) -> Found:
    try:
        return str(path), path.read_bytes()[:NOTE_BYTES_MAX]
    except OSError as problem:
        raise LocalError(f"{path} cannot be read: {problem.strerror}") from problem


def _opened(keys: KeyChain, by: str, data: bytes) -> Checkpoint | Cosigned | str:
    """What a file says, verified; or why it says nothing."""
    try:
        if by == OWN or not data.startswith(b"{"):
            note = data.decode("utf-8", errors="replace")
            return open_checkpoint(note, public=keys.first, later=keys.events)
        return read_cosigned(orjson.loads(data), public=keys.first, later=keys.events)
    except (BadNote, orjson.JSONDecodeError) as problem:
        return str(problem)


def _judged(log: Files, head_seq: int, by: str, found: Checkpoint | Cosigned | str) -> HeadVerdict:
    if isinstance(found, str):
        return HeadVerdict(by=by, size=0, at_seconds=None, reason=found)
    if isinstance(found, Cosigned):
        reason = _broken(log, head_seq, found.checkpoint)
        by, at = found.witness, found.at_seconds
        return HeadVerdict(by=by, size=found.size, at_seconds=at, reason=reason)
    reason = _broken(log, head_seq, found)
    return HeadVerdict(by=by, size=found.size, at_seconds=None, reason=reason)


def keys_flaw(log: Files, report: Report) -> str | None:
    """Why the keys that the log's folder names are not those that the log says; None: they are.

    The folder may be one change of key behind a log that grows.
    """
    if log.keys_flaw is not None:
        return log.keys_flaw
    if report.keys.continues(log.keys):
        behind = len(report.keys.events) - len(log.keys.events)
        return f"it lacks {behind} events about keys" if behind > 1 else None
    return f"it has a change of key at event {log.keys.events[-1].seq} that the log has not"


def check_receipts(log: Files) -> list[tuple[dict[str, Any], str | None]]:
    """Each receipt of `anchors.ndjson`, and why it does not hold; None when it does."""
    try:
        lines = (log.root / ANCHORS).read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    last = next(iter(log.lines_backwards()), b"{}")
    head_seq = fields_of(last).get("seq", 0)
    found: list[tuple[dict[str, Any], str | None]] = []
    for line in lines[-RECEIPTS_MAX:]:
        fields = fields_of(line)
        try:
            receipt = read_receipt(fields, public=log.keys.first, later=log.keys.events)
            found.append((fields, _broken(log, head_seq, receipt.checkpoint)))
        except BadReceipt as problem:
            found.append((fields, problem.message))
    return found


def _broken(log: Files, head_seq: int, checkpoint: Checkpoint) -> str | None:
    """Why the log does not continue a checkpoint; None when it does, or was dropped since."""
    size = checkpoint.size
    if log.is_of_an_earlier_life(checkpoint):
        return None
    if size > head_seq:
        return f"the log ends at event {head_seq}, and {size} were signed for: it was cut short"
    if size < log.firsts[0]:
        return None
    try:
        inclusion_of(log, checkpoint, size)
    except LocalError as problem:
        return problem.message
    return None
