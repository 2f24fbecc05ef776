"""What an owner has done to a damaged log: repair it, or go on from an older copy.

Both are verbs of `thehum.offline`: they run while nobody else writes.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import orjson

from nest.paths import Paths
from nest.private import read_private
from thehum.core.events import read_event
from thehum.core.mending import Gap, gap_fields
from thehum.core.pages import PageLimits
from thehum.edge.keys import Keyring
from thehum.edge.log import Log
from thehum.edge.mending import mend, repaired_body, set_checkpoint_aside
from thehum.edge.remembered import HeadFile
from thrum.canonical import dumps
from thrum.chi import Chi
from thrum.errors import LocalError
from thrum.tones import Body

_TOLD = b',"chi":' + dumps(Chi.LOG_REPAIRED) + b',"prev_hash":"'
_RESTORED = b',"chi":' + dumps(Chi.LOG_RESTORED) + b',"prev_hash":"'

Open = Callable[..., tuple[Log, Keyring]]
Append = Callable[[Log, str, str | None, Body], int]


def repair(paths: Paths, order: Mapping[str, Any], opening: Open, append: Append) -> Body:
    """Put what is damaged aside, and go on with the rest; idempotent.

    Raises `NotMendable`, `SettingsRefused`, `LogReadOnly` for what a repair does not mend.
    """
    every = order.get("every") is True
    mended = mend(paths.thehum, Keyring(paths).chain, every=every)
    opened, _ = opening(paths)
    try:
        said = repaired_body(mended, str(order.get("by", "")))
        if mended.gaps and not _tells(opened, mended.gaps):
            append(opened, Chi.LOG_REPAIRED, None, said)
        return {**said, "segments": list(mended.segments), "head_seq": opened.head.seq}
    finally:
        opened.close()


def restore(paths: Paths, order: Mapping[str, Any], opening: Open, append: Append) -> Body:
    """Go on from what there is, though it is less than there was: the log's next life."""
    keyring, root = Keyring(paths), paths.thehum
    found = HeadFile(paths.thehum_head).read()
    mended = mend(root, keyring.chain, may_lose_end=True)
    opened, _ = opening(paths, is_restored=True)
    try:
        old: dict[str, Any] = {"seq": opened.remembered_before}
        if found is not None and found.author == opened.author:
            old = {**asdict(found), "seq": max(found.seq, opened.remembered_before)}
            opened.epoch = max(opened.epoch, found.epoch)
        old.pop("author", None)
        epoch = opened.begin_epoch()
        body: Body = {"epoch": epoch, "old": old, "kept_seq": opened.head.seq}
        body |= {key: str(order[key]) for key in ("by", "reason") if order.get(key)}
        note = _note(paths)
        if note is not None:
            body["checkpoint"] = note
        if mended.gaps and not _tells(opened, mended.gaps):
            body["gaps"] = [gap_fields(gap) for gap in mended.gaps]
        seq = append(opened, Chi.LOG_RESTORED, None, body)
        set_checkpoint_aside(root, opened.base)
        opened.remember()
        return {**body, "seq": seq, "kept": list(mended.kept)}
    finally:
        opened.close()


def _tells(opened: Log, gaps: tuple[Gap, ...]) -> bool:
    """Whether the log says already that these events are lost."""
    wanted, told = [gap_fields(gap) for gap in gaps], list[object]()
    seq = gaps[0].last_seq + 1
    while seq <= opened.head.seq:
        page = opened.page(seq, PageLimits.bulk())
        for line in page.lines:
            if _TOLD in line or _RESTORED in line:
                told += orjson.loads(read_event(line).body).get("gaps", [])
        if page.next_seq <= seq:
            break
        seq = page.next_seq
    return all(one in told for one in wanted)


def _note(paths: Paths) -> str | None:
    """The newest checkpoint, as what was signed before."""
    try:
        return read_private(paths.thehum / "checkpoint").decode()
    except (FileNotFoundError, UnicodeDecodeError, LocalError):
        return None
