"""The files of the log, read with or without a daemon.

Nothing here writes or takes the writer's lock; a log that grows meanwhile is read up to its last
whole line.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

import click
import orjson

from hum.beside import Beside, files_beside, read_beside
from hum.log_head import read_trouble
from hum.output import talk
from hum.vouching import vouchers
from nest.paths import Paths
from nest.settings import load
from thehum.core import sealed
from thehum.core.audit import Author, Report, audit
from thehum.core.base import read_base
from thehum.core.beside import BodiesReport, audit_bodies
from thehum.core.events import GENESIS, Head
from thehum.core.keeping import Place
from thehum.core.keys import BadKeyEvent, KeyChain, read_chain
from thehum.core.mending import Gap, read_gaps
from thehum.core.names import (
    ANCHORS,
    BASE,
    CHECKPOINT,
    GAPS,
    KEYS,
    TILES_DIR,
    WITNESSED_DIR,
    is_record,
    packed_name,
    segment_name,
    segment_seq,
)
from thehum.core.notes import EPOCH, BadNote, Checkpoint, open_checkpoint
from thehum.core.pages import lines_of, offset_near
from thehum.core.sealed import is_packed, unpack
from thehum.core.tiled import BadTile, audit_tiles
from thrum.canonical import dumps
from thrum.errors import LocalError

FOLLOW_SECONDS = 0.2
BAR_CHARS = 30
CHUNK_BYTES = 256 * 1024
"""Read at a time by `range`."""
SHOW_EVENTS = 16_384
"""From one look at how far a verification is to the next."""
PROGRESS_SEGMENTS = 4
"""A log of fewer is verified before anyone would look."""


class Files:
    """The log's files, read only."""

    def __init__(self, *, wait: bool = False) -> None:
        paths = Paths.from_environment(os.environ)
        self.root = paths.thehum
        self.paths = paths
        self.remembered_seq = self._seq()
        if not self._is_there():
            if not wait:
                raise LocalError(f"there is no log in {self.root}", hint="hum up")
            talk(f"there is no log in {self.root} yet; it is shown once hum up has made one")
        while not self._is_there():
            time.sleep(FOLLOW_SECONDS)
        self.firsts = self._segments()
        hid, public, self.epoch = self._author()
        self.keys, self.keys_flaw = self._known_keys(public)
        self.gaps = self._gaps()
        self._lives: list[dict[str, Any]] | None = None
        self.author = Author(hid=hid, public=public, later=self.keys.events)

    def _is_there(self) -> bool:
        return self.paths.thehum_author.exists() and bool(self._segments())

    def _author(self) -> tuple[str, bytes, int]:
        """Whose log it is, its first key, and which life of it this is."""
        path = self.paths.thehum_author
        data = path.read_bytes()
        fields = fields_of(data)
        try:
            hid, public = str(fields["hid"]), bytes.fromhex(fields["pubkey"])
            life = {key: int(fields[key]) for key in ("epoch", "life_seq") if key in fields}
        except (KeyError, TypeError, ValueError):
            hid, public, life = "", b"", {}
        if data.removesuffix(b"\n") != dumps({"hid": hid, "pubkey": public.hex(), **life}):
            raise LocalError(f"{path} does not name an author", hint=f"cat {path}")
        return hid, public, life.get("epoch", EPOCH)

    def _gaps(self) -> tuple[Gap, ...]:
        """The events that a repair said are lost."""
        try:
            return read_gaps((self.root / GAPS).read_bytes())
        except FileNotFoundError:
            return ()

    def is_of_an_earlier_life(self, checkpoint: Checkpoint) -> bool:
        """Whether a checkpoint is about events that its owner gave up, as the log says."""
        epoch = checkpoint.epoch
        if epoch >= self.epoch:
            return False
        kept = (body["kept_seq"] for body in self._restored() if body["epoch"] > epoch)
        return checkpoint.size > min(kept, default=checkpoint.size)

    def _restored(self) -> list[dict[str, Any]]:
        """What the log says of each life that its owner began."""
        if self._lives is None:
            needle = b',"chi":"log-restored","prev_hash":"'
            lines = (line for _, line in self.lines_from(self.firsts[0]) if needle in line)
            events = (fields_of(line) for line in lines)
            self._lives = [one["body"] for one in events if one.get("chi") == "log-restored"]
        return self._lives

    def kept(self) -> dict[str, str]:
        """How the log is signed, and what of it is kept, by the settings."""
        settings = load(self.paths, os.environ).humd.thehum
        return {"signing": settings.signing, "mode": settings.mode, "keeps": settings.bound}

    def checkpoint(self) -> dict[str, Any] | None:
        """The newest signed root; None when there is none that is genuine."""
        path = self.root / CHECKPOINT
        try:
            note = path.read_text("utf-8")
            found = open_checkpoint(note, public=self.keys.first, later=self.keys.events)
            age = max(time.time() - path.stat().st_mtime, 0)
        except (FileNotFoundError, UnicodeDecodeError, BadNote):
            return None
        return {"size": found.size, "root": found.root.hex(), "age_seconds": int(age)}

    def newest_anchor(self) -> dict[str, Any] | None:
        """The newest receipt for a root that was made known elsewhere."""
        try:
            lines = (self.root / ANCHORS).read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return None
        fields = fields_of(lines[-1]) if lines else {}
        wanted = ("backend", "ref", "at_ms", "size")
        return {key: fields.get(key) for key in wanted} if fields else None

    def trouble(self) -> dict[str, Any] | None:
        """Why the log is not written, when it is not."""
        return read_trouble(self.root)

    def _known_keys(self, first: bytes) -> tuple[KeyChain, str | None]:
        """The keys of the log as its folder says, and what is wrong with that."""
        try:
            lines = (self.root / KEYS).read_text("utf-8").splitlines()
            return read_chain(first, lines), None
        except FileNotFoundError:
            return KeyChain(first), None
        except (BadKeyEvent, UnicodeDecodeError) as problem:
            return KeyChain(first), str(problem)

    def _segments(self) -> list[int]:
        if not self.root.is_dir():
            return []
        found = {segment_seq(name) for name in os.listdir(self.root)}
        return sorted(seq for seq in found if seq is not None)

    def _seq(self) -> int:
        try:
            return int.from_bytes(self.paths.thehum_seq.read_bytes()[:8], "big")
        except FileNotFoundError:
            return 0

    def open(self, first_seq: int) -> BinaryIO:
        """A segment's file; the compressed one when the plain one is gone."""
        for name in (segment_name(first_seq), packed_name(first_seq)):
            with suppress(FileNotFoundError):
                return (self.root / name).open("rb")
        raise LocalError(
            f"the segment of event {first_seq} went meanwhile", hint="look again: hum thehum status"
        )

    def stored(self, first_seq: int) -> bytes:
        """What is in a segment's file."""
        with self.open(first_seq) as file:
            return file.read()

    def plain(self, first_seq: int) -> bytes:
        """A segment's lines, and the zeros behind them."""
        return unpack(self.stored(first_seq))[0]

    def begins_behind(self) -> Head:
        """The last event that went, `GENESIS` when none did; raises `BadNote`."""
        try:
            data = (self.root / BASE).read_bytes()
        except FileNotFoundError:
            return GENESIS
        return read_base(data, public=self.keys.first, later=self.keys.events).head

    def disk_bytes(self) -> int:
        """What the segments take on disk."""
        total = 0
        for first_seq in self.firsts:
            with self.open(first_seq) as file:
                total += os.fstat(file.fileno()).st_blocks * 512
        return total

    def writer(self) -> int | None:
        """The pid that last took the writer's lock, when it still runs."""
        try:
            pid = int(self.paths.thehum_lock.read_text())
            os.kill(pid, 0)
        except (OSError, ValueError):
            return None
        return pid

    def beside(self, seq: int, place: Place) -> bytes | None:
        """The body of event `seq` beside the log; None when it is gone. Raises `BrokenRecord`."""
        return read_beside(self.root, seq, place)

    def witnessed(self) -> list[dict[str, Any]]:
        """The newest known head of each log that this one witnesses, and whether it has two."""
        folder = self.root / WITNESSED_DIR
        names = sorted(os.listdir(folder)) if folder.is_dir() else []
        found: dict[str, dict[str, Any]] = {}
        for name in filter(is_record, names):
            record = fields_of((folder / name).read_bytes())
            if {"origin", "size"} <= record.keys():
                old = found.get(record["origin"], {})
                notes = record.get("conflict") or old.get("conflict")
                size = max(record["size"], old.get("size", 0))
                found[record["origin"]] = {**record, **old, "size": size, "conflict": notes}
        return [
            {key: record.get(key) for key in ("origin", "size", "root", "pubkey", "conflict")}
            for record in found.values()
        ]

    def lines_backwards(self) -> Iterator[bytes]:
        """Every whole line, newest first."""
        for first_seq in reversed(self.firsts):
            yield from reversed(lines_of(self.plain(first_seq)))

    def lines_from(self, from_seq: int) -> Iterator[tuple[int, bytes]]:
        """Lines and their seqs from `from_seq` on, oldest first."""
        later = [*self.firsts[1:], sys.maxsize]
        for first_seq, next_first in zip(self.firsts, later, strict=True):
            if next_first > from_seq:
                with self.open(first_seq) as file:
                    yield from _lines_from(file, first_seq, from_seq)

    def end(self) -> tuple[int, int]:
        """The newest segment and the offset behind its last whole line."""
        newest = self.firsts[-1]
        return newest, sum(len(line) + 1 for line in lines_of(self.plain(newest)))

    def follow(self, first_seq: int, offset: int) -> Iterator[bytes]:
        """Lines behind `offset` as they are written, for ever, into later segments too."""
        while True:
            later = [first for first in self._segments() if first > first_seq]
            lines = lines_of(self._behind(first_seq, offset))
            for line in lines:
                yield line
                offset += len(line) + 1
            if later and not lines:
                first_seq, offset = later[0], 0
            elif not lines:
                time.sleep(FOLLOW_SECONDS)

    def _behind(self, first_seq: int, offset: int) -> bytes:
        with self.open(first_seq) as file:
            if is_packed(file.read(4)):
                file.seek(0)
                return unpack(file.read())[0][offset:]
            file.seek(offset)
            return file.read()

    def wants_progress(self, firsts: list[int]) -> bool:
        """Whether it takes long enough, and somebody looks."""
        return sys.stderr.isatty() and len(firsts) >= PROGRESS_SEGMENTS

    def events_about(self, firsts: list[int]) -> int:
        """How many events there are from the first of `firsts` on, as far as was remembered."""
        return max(self.remembered_seq, firsts[-1]) - firsts[0] + 1

    def audit(self, *, newest: int | None = None, every: bool = False) -> Report:
        """Verify all segments, or only the newest ones."""
        firsts = self.firsts if newest is None else self.firsts[-newest:]
        show = _Progress(self.events_about(firsts)) if self.wants_progress(firsts) else None
        with vouchers(firsts, self.stored, self.author, every=every) as vouched:
            report = audit(
                firsts,
                self.stored,
                self.author,
                every=every,
                remembered_seq=self.remembered_seq,
                base=self.begins_behind() if newest is None else None,
                gaps=self.gaps,
                vouched=vouched,
                progress=show or (lambda _: None),
            )
        if show:
            show.clear()
        return report

    def audit_tiles(self, report: Report) -> BadTile | None:
        """Look whether the stored hashes are those of the events, as far as `audit` found them."""
        begins_behind = self.begins_behind().seq
        show = _Progress(report.head.seq) if self.wants_progress(self.firsts) else None
        found = audit_tiles(
            shown(self.lines_from(self.firsts[0]), show),
            report.head.hash,
            self._stored_hashes,
            upto_seq=report.head.seq,
            begins_behind=begins_behind,
        )
        if show:
            show.clear()
        return found

    def _stored_hashes(self, level: int) -> bytes:
        try:
            return (self.root / TILES_DIR / str(level)).read_bytes()
        except FileNotFoundError:
            return b""

    def audit_bodies(self, upto_seq: int) -> BodiesReport | None:
        """Look whether the bodies beside the log are those that the events up to a seq say.

        None when there is nothing beside it. Call it after `audit`, with the head that it found.
        """
        if not files_beside(self.root):
            return None
        with Beside(self.root) as beside:
            show = _Progress(upto_seq) if self.wants_progress(self.firsts) else None
            lines = shown(self.lines_from(self.firsts[0]), show)
            report = audit_bodies(lines, beside.filed, upto_seq=upto_seq)
        if show:
            show.clear()
        return report


def shown(
    lines: Iterator[tuple[int, bytes]], show: "_Progress | None"
) -> Iterator[tuple[int, bytes]]:
    """The same lines; how far they got is shown now and then."""
    for number, line in enumerate(lines):
        if show is not None and number % SHOW_EVENTS == 0:
            show(number)
        yield line


@contextmanager
def progress_over(log: Files) -> Iterator[Callable[[int], None]]:
    """A bar for what goes through all events of a long log, when somebody looks."""
    if not log.wants_progress(log.firsts):
        yield lambda _: None
        return
    show = _Progress(log.events_about(log.firsts))
    try:
        yield show
    finally:
        show.clear()


class _Progress:
    """How far a long verification is, on a terminal."""

    def __init__(self, events: int) -> None:
        self._events = max(events, 1)
        self._began = time.monotonic()

    def __call__(self, events: int) -> None:
        share = min(events / self._events, 1.0)
        full = round(share * BAR_CHARS)
        bar = "#" * full + "-" * (BAR_CHARS - full)
        rate = events / max(time.monotonic() - self._began, 0.001)
        text = f"[{bar}] {share:4.0%}  {events:,} events, {rate:,.0f} a second"
        click.echo(f"\r\x1b[K{text}", err=True, nl=False)

    def clear(self) -> None:
        click.echo("\r\x1b[K", err=True, nl=False)


def _lines_from(file: BinaryIO, first_seq: int, from_seq: int) -> Iterator[tuple[int, bytes]]:
    """Lines of a segment and their seqs from `from_seq` on; looks at little of what is before."""
    size = file.seek(0, os.SEEK_END)

    def read(offset: int, length: int) -> bytes:
        file.seek(offset)
        return file.read(length)

    if not sealed.is_packed(read(0, 4)):
        seq, offset = offset_near(read, size, first_seq=first_seq, seq=from_seq)
        length = CHUNK_BYTES
        while offset < size:
            lines = lines_of(read(offset, length))
            for number, line in enumerate(lines, seq):
                if number >= from_seq:
                    yield number, line
            if not lines and length >= size - offset:
                return
            seq, offset = seq + len(lines), offset + sum(map(len, lines)) + len(lines)
            length = CHUNK_BYTES if lines else 2 * length  # a line may be longer than a chunk
        return
    trailer = read(max(size - sealed.TRAILER_BYTES, 0), sealed.TRAILER_BYTES)
    length = min(sealed.index_bytes(trailer), size)
    frames = sealed.read_index(read(size - length, length), size)
    for frame in frames[sealed.frame_of(frames, from_seq) :]:
        lines = lines_of(sealed.unpack_frame(frame, read(frame.offset, frame.stored_bytes)))
        for seq, line in enumerate(lines, frame.first_seq):
            if seq >= from_seq:
                yield seq, line


def fields_of(line: bytes) -> dict[str, Any]:
    """The keys of a line; empty when it is not one."""
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return fields if isinstance(fields, dict) else {}
