"""Compare the log with what was signed for it: by itself, and by witnesses below that.

A signed root says how long the log was and what was in it. The log still continues it when event
`size`, as it stands in the log, is the last leaf below that root: its hash covers all before it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from hum.log_files import Files, fields_of
from hum.proof_verbs import inclusion_of
from thehum.core.anchors import BadReceipt, read_receipt
from thehum.core.audit import Report
from thehum.core.cosigned import Cosigned, read_cosigned
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


Found = tuple[str, Checkpoint | Cosigned | str]
"""Who signed, and what; or why it cannot be read."""


def read_heads(witness: Path | None) -> list[Found]:
    """Everything that was signed for the log, to be read before the log itself, which may grow.

    `witness` is a file with a note about this log that somebody else kept.
    """
    log = Files()
    found = list(_own(log))
    return found if witness is None else [*found, _kept_elsewhere(log, witness)]


def check_heads(log: Files, head_seq: int, found: Iterable[Found]) -> list[HeadVerdict]:
    """Compare the log, which ends at `head_seq`, with what was signed for it."""
    return [_judged(log, head_seq, *one) for one in found]


def _own(log: Files) -> Iterator[Found]:
    try:
        note = (log.root / CHECKPOINT).read_text("utf-8", errors="replace")
        yield OWN, _opened(log, note)
    except FileNotFoundError:
        pass
    folder = log.root / COSIGNED_DIR
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    for name in filter(is_record, names):
        yield name.removesuffix(".json"), _read(log, (folder / name).read_bytes())


def _kept_elsewhere(log: Files, path: Path) -> Found:
    try:
        data = path.read_bytes()[:NOTE_BYTES_MAX]
    except OSError as problem:
        raise LocalError(f"{path} cannot be read: {problem.strerror}") from problem
    if data.startswith(b"{"):
        return str(path), _read(log, data)
    return str(path), _opened(log, data.decode("utf-8", errors="replace"))


def _opened(log: Files, note: str) -> Checkpoint | str:
    try:
        return open_checkpoint(note, public=log.keys.first, later=log.keys.events)
    except BadNote as problem:
        return problem.message


def _read(log: Files, data: bytes) -> Cosigned | str:
    try:
        return read_cosigned(orjson.loads(data), public=log.keys.first, later=log.keys.events)
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
    if log.keys_flaw is not None or report.keys.continues(log.keys):
        return log.keys_flaw
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
