"""`hum thehum prove` and `check-proof`: one event, taken out of the log with its proof.

Both work from files alone. `prove` reads tiles where they help and trusts none of them: what they
lead to is compared with the signed root, and computed anew from the events when it differs.
"""

import os
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hum.log_files import Files
    from thehum.core.notes import Checkpoint

EXIT_NOT_PROVEN = 1
LINE_BYTES_MAX = 64 * 1024 * 1024
"""Of an event that is handed in."""
JSON = click.option("--json", "as_json", is_flag=True, help="For programs; the fields stay.")


@click.command()
@click.argument("seq", type=click.IntRange(1))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write it here.")
@click.option("--event", type=click.File("rb"), help="The event as it was stored, if it went.")
@JSON
def prove(*, seq: int, out: Path | None, event: Any, as_json: bool) -> None:
    """Prove that event SEQ is in the log: one JSON object that needs no log to be checked.

    The proof leads to the newest signed checkpoint. One is made every 30 seconds while the log
    grows, and when hum stops. The hashes of events that went to keep the log within its bound are
    still there: whoever has such an event names it with --event.
    """
    import orjson

    from hum.log_files import Files
    from hum.output import data, data_json, talk
    from thehum.core.proofs import Proof, check, dump_proof

    log = Files()
    checkpoint, note = _checkpoint(log)
    line, inclusion = inclusion_of(log, checkpoint, seq, event and event.read(LINE_BYTES_MAX))
    proof = Proof(
        author=log.author.hid,
        public=log.keys.first,
        later=log.keys.upto(checkpoint.size).events,
        line=line,
        inclusion=inclusion,
        note=note,
    )
    check(proof)
    fields = dump_proof(proof, seq)
    if out is None:
        data(orjson.dumps(fields, option=0 if as_json else orjson.OPT_INDENT_2).decode())
        return
    _write(out, orjson.dumps(fields, option=orjson.OPT_INDENT_2) + b"\n")
    if as_json:
        data_json({**_facts(checkpoint, seq), "file": str(out)})
    else:
        data(str(out))
        talk(f"event {seq:,} is in the log of {checkpoint.author}", dim=True)


@click.command("check-proof")
@click.argument("file", type=click.File("rb"))
@click.option("--author", help="Whose log it must be, as a hid.")
@JSON
def check_proof(*, file: Any, author: str | None, as_json: bool) -> int:
    """Check a proof that `prove` made, from FILE alone (- for stdin); 1 when it proves nothing.

    Without --author you must know by yourself that the author is who you think.
    """
    from hum.output import data, data_json, printable
    from thehum.core.proofs import PROOF_BYTES_MAX, NotProven, check, read_proof

    try:
        proven = check(read_proof(file.read(PROOF_BYTES_MAX)))
        if author is not None and author != proven.event.author:
            raise NotProven(f"it is about the log of {proven.event.author}")
    except NotProven as problem:
        if as_json:
            data_json({"ok": False, "reason": problem.message})
        else:
            data(click.style(f"not proven: {printable(problem.message)}", fg="red"))
        return EXIT_NOT_PROVEN
    event, checkpoint = proven.event, proven.checkpoint
    if as_json:
        facts = {"chi": event.chi, "rid": event.rid, "sid": event.sid, "ts_ms": event.ts_ms}
        data_json({**_facts(checkpoint, event.seq), **facts})
    else:
        told = f"event {event.seq:,} ({printable(event.chi)}) is in the log of {event.author}"
        data(click.style(f"{told}, signed at {checkpoint.size:,} events", fg="green"))
    return 0


def _facts(checkpoint: "Checkpoint", seq: int) -> dict[str, Any]:
    return {
        "ok": True,
        "author": checkpoint.author,
        "seq": seq,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
    }


def _checkpoint(log: "Files") -> "tuple[Checkpoint, str]":
    """The newest checkpoint, verified, and its note."""
    from thehum.core.names import CHECKPOINT
    from thehum.core.notes import open_checkpoint
    from thrum.errors import LocalError

    try:
        note = (log.root / CHECKPOINT).read_text("utf-8", errors="replace")
    except FileNotFoundError as problem:
        raise LocalError(
            f"there is no checkpoint in {log.root} yet: one is made every 30 seconds",
            hint="hum up, and try again; or hum down, which makes one too",
        ) from problem
    return open_checkpoint(note, public=log.keys.first, later=log.keys.events), note


def inclusion_of(
    log: "Files", checkpoint: "Checkpoint", seq: int, given: bytes | None = None
) -> tuple[bytes, list[bytes]]:
    """The line of event `seq` and what leads from it to the root of the checkpoint."""
    from hum.output import talk
    from thehum.core.events import MalformedEvent
    from thehum.core.proofs import event_leaf
    from thehum.core.tiles import TileNodes, TilesLost, whole
    from thrum.errors import LocalError
    from thrum.merkle import inclusion, verify_inclusion

    size = checkpoint.size
    if seq > size:
        raise LocalError(
            f"the newest checkpoint covers events 1 to {size}, not yet {seq}",
            hint="it is made anew every 30 seconds, and when hum stops",
        )
    line = _line(log, seq) if given is None else given.rstrip(b"\n")
    stored = whole(min(size, _tiled(log)))
    for have in sorted({stored, 0}, reverse=True):
        try:
            lines = takewhile(lambda each: each[0] <= size, log.lines_from(have + 1))
            tail = [event_leaf(each) for _, each in lines]
            node = TileNodes(lambda *place: _tile(log, *place), have, tail)
            proof = inclusion(seq - 1, size, node) if have + len(tail) == size else []
            leaf = event_leaf(line)
        except (TilesLost, MalformedEvent):
            continue
        if verify_inclusion(leaf, proof, checkpoint.root, index=seq - 1, size=size):
            return line, proof
        if have:
            talk("the tiles do not lead to the signed root; computing from the events", dim=True)
    if given is not None:
        raise LocalError(f"that is not event {seq} of this log, or its hash is gone too")
    raise LocalError(
        f"the events in {log.root} do not lead to the root that was signed for them",
        hint="hum thehum verify --full",
    )


def _line(log: "Files", seq: int) -> bytes:
    from thrum.errors import LocalError

    at, line = next(log.lines_from(seq), (0, b""))
    if at != seq:
        raise LocalError(
            f"event {seq} is no longer in {log.root}",
            hint=f"if you have it: hum thehum prove {seq} --event FILE",
        )
    return line


def _tiled(log: "Files") -> int:
    """How many leaf hashes are in tiles."""
    from thehum.core.names import TILES_DIR
    from thrum.merkle import HASH_BYTES

    try:
        return (log.root / TILES_DIR / "0").stat().st_size // HASH_BYTES
    except FileNotFoundError:
        return 0


def _tile(log: "Files", level: int, start: int, count: int) -> list[bytes] | None:
    from thehum.core.names import TILES_DIR
    from thrum.merkle import HASH_BYTES

    try:
        with (log.root / TILES_DIR / str(level)).open("rb") as file:
            file.seek(start * HASH_BYTES)
            entries = file.read(count * HASH_BYTES)
    except FileNotFoundError:
        return None
    if len(entries) < count * HASH_BYTES:
        return None
    found = [entries[at : at + HASH_BYTES] for at in range(0, len(entries), HASH_BYTES)]
    return None if level == 0 and bytes(HASH_BYTES) in found else found  # a hole: it was dropped


def _write(path: Path, content: bytes) -> None:
    """Write the proof, which holds an event in the clear, for this user alone."""
    from thrum.errors import LocalError

    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
    except OSError as problem:
        reason = f"{path} cannot be written: {problem.strerror}"
        raise LocalError(reason, hint=f"ls -ld {path.parent}") from problem
