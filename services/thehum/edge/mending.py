"""Mends a damaged log, and goes on from an older copy when its owner says so.

Nothing is deleted. A segment that has damage is copied into `quarantine/` as it is; then its good
events are written into segments of their own, the gaps between them into `gaps.json`, and the
damaged file goes. An event `log-repaired` says in the log what was lost. A crash leaves a log that
is as damaged as before or less, and mending it again goes on from there.

A log whose end is lost is another matter: what was acknowledged would be written a second time. Its
owner may go on (`restore`): the log begins its next life, an event `log-restored` says from where,
and its checkpoints bear the number of that life.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nest.paths import ensure_private
from nest.private import replace_private
from thehum.core import names
from thehum.core.base import Base
from thehum.core.events import GENESIS, Head
from thehum.core.keys import KeyChain
from thehum.core.mending import Cut, Gap, NotMendable, Plan, dump_gaps, gap_fields, plan
from thehum.edge.directory import LogDirectory
from thehum.edge.disk import sync_folder, told_apart
from thehum.edge.sealed import read_segment

DAMAGED = "damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """What was done to the files of a log."""

    gaps: tuple[Gap, ...]
    """All that are lost, those of earlier repairs too."""
    head: Head
    """The last good event."""
    segments: tuple[int, ...]
    """First seqs of the segments that had damage."""
    kept: tuple[str, ...]
    """Where the damaged files are now, within the log's folder."""


class TailLost(NotMendable):
    """The end of the log is lost, or an older copy was put back: only its owner can decide."""


def mend(
    root: Path,
    keys: KeyChain,
    *,
    every: bool = False,
    may_lose_end: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> Mended:
    """Mend the files of a log that nobody has open; once this returns they are on disk.

    Raises `TailLost` when its end is lost, unless that is accepted; `NotMendable`, and
    `SettingsRefused` when somebody writes to it.
    """
    directory = LogDirectory(root, author=keys.author, public=keys.first)
    try:
        base = directory.base(keys)
        begin = base.head if base else GENESIS
        firsts = [first for first in directory.segments() if first > begin.seq]
        made = plan(
            firsts,
            lambda first: read_segment(root, first),
            keys,
            begin=begin,
            every=every,
            progress=progress,
        )
        if not may_lose_end:
            _require_end(made, directory)
        gaps = tuple(sorted({*made.gaps, *directory.gaps()}, key=lambda gap: gap.first_seq))
        gaps = tuple(gap for gap in gaps if gap.first_seq > begin.seq)
        kept = [_quarantine(directory, cut) for cut in made.cuts]
        for cut in made.cuts:
            _write_behind(directory, cut)
        if gaps:
            _replace(root / names.GAPS, dump_gaps(gaps))
        for cut in made.cuts:
            _write_front(directory, cut)
        return Mended(
            gaps=gaps,
            head=made.head,
            segments=tuple(cut.first_seq for cut in made.cuts),
            kept=tuple(path.relative_to(root).as_posix() for path in kept),
        )
    finally:
        directory.close()


def _require_end(made: Plan, directory: LogDirectory) -> None:
    remembered = directory.remembered_seq()
    if made.lost_behind or made.head.seq < remembered:
        lost = f"up to {remembered} " if remembered > made.head.seq else ""
        raise TailLost(
            f"the events behind {made.head.seq} {lost}are lost, and were acknowledged",
            hint="bring back a newer copy of the log, or go on without them: hum thehum restore",
        )


def _quarantine(directory: LogDirectory, cut: Cut) -> Path:
    data = read_segment(directory.root, cut.first_seq)
    return directory.quarantine(DAMAGED, cut.first_seq - 1, data)


def _write_behind(directory: LogDirectory, cut: Cut) -> None:
    """Write the good events that do not begin where the damaged segment does."""
    for run in cut.runs:
        if run.first_seq != cut.first_seq:
            _replace(directory.segment(run.first_seq), run.data)


def _write_front(directory: LogDirectory, cut: Cut) -> None:
    """Put what is good of the segment's beginning in its place, or nothing."""
    path = directory.segment(cut.first_seq)
    if cut.runs and cut.runs[0].first_seq == cut.first_seq:
        _replace(path, cut.runs[0].data)
        gone = [names.packed_name(cut.first_seq)]
    else:
        gone = [names.segment_name(cut.first_seq), names.packed_name(cut.first_seq)]
    for name in gone:
        with told_apart(f"removing {name}"):
            (directory.root / name).unlink(missing_ok=True)
    sync_folder(directory.root)


def _replace(path: Path, data: bytes) -> None:
    with told_apart(f"writing {path}"):
        replace_private(path, data)


def set_checkpoint_aside(root: Path, base: Base | None) -> None:
    """Put the newest checkpoint into quarantine: what it was signed for is the log's past.

    The tree is then made anew from the events, or goes on from the base when the first ones went.
    """
    path, folder = root / names.CHECKPOINT, root / names.QUARANTINE_DIR
    if path.exists():
        with told_apart(f"moving {path}"):
            ensure_private(folder)
            os.replace(path, folder / f"checkpoint-{time.time_ns()}.note")
        sync_folder(folder)
    if base is not None:
        _replace(path, base.note.encode())
    sync_folder(root)


def repaired_body(mended: Mended, by: str) -> dict[str, Any]:
    """The body of the event that tells of a repair."""
    return {"by": by, "gaps": [gap_fields(gap) for gap in mended.gaps], "kept": list(mended.kept)}
