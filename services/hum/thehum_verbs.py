"""`hum thehum`: read and verify the signed log from its files, with or without a daemon.

Nothing here takes the writer's lock or writes; a log that grows meanwhile is read up to its last
whole line.
"""

import os
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from hum.proof_verbs import check_proof, prove
from hum.segment_verbs import cat

if TYPE_CHECKING:
    from thehum.core.audit import Report

EXIT_DAMAGED = 1
FOLLOW_SECONDS = 0.2
BODY_CHARS = 100
"""Of a body on one line of `tail`."""
BAR_CHARS = 30
CHUNK_BYTES = 256 * 1024
"""Read at a time by `range`."""
PROGRESS_SEGMENTS = 4
"""A log of fewer is verified before anyone would look."""
JSON = click.option("--json", "as_json", is_flag=True, help="For programs; the fields stay.")


@click.group(invoke_without_command=True)
@click.pass_context
def thehum(ctx: click.Context) -> object:
    """Read and verify the signed log; without a verb, one line on its health."""
    if ctx.invoked_subcommand is not None:
        return None
    log = Files()
    return _print_verdict(log, log.audit(newest=2), as_json=False)


@thehum.command()
@JSON
def status(*, as_json: bool) -> None:
    """Show whose log it is, how far it goes and who writes it."""
    from hum.output import data, data_json, table

    log = Files()
    last = next(iter(log.lines_backwards()), None)
    first_seq, last_seq = log.firsts[0], _fields(last)["seq"] if last else log.firsts[0] - 1
    facts = {
        "author": log.author.hid,
        "first_seq": first_seq,
        "last_seq": last_seq,
        "events": last_seq - first_seq + 1,
        "bytes": log.disk_bytes(),
        "segments": len(log.firsts),
        "remembered_seq": log.remembered_seq,
        "writer": log.writer(),
        "directory": str(log.root),
    }
    if as_json:
        data_json(facts)
    else:
        words = {"writer": facts["writer"] or "nobody"}
        data(table((key, f"{words.get(key, value)}") for key, value in facts.items()))


@thehum.command()
@click.option("-n", "count", type=click.IntRange(0), default=20, help="How many events. [20]")
@click.option("-f", "follow", is_flag=True, help="Go on with events as they come.")
@click.option("--chi", help="Only events of this chi.")
@click.option("--sid", help="Only events of this conversation.")
@JSON
def tail(*, count: int, follow: bool, chi: str | None, sid: str | None, as_json: bool) -> None:
    """Show the newest events, one line each: seq, time, chi, sid, rid, body."""
    log = Files(wait=follow)
    place = log.end()
    newest: list[bytes] = []
    for line in log.lines_backwards():
        if len(newest) >= count:
            break
        if _matches(line, chi, sid):
            newest.append(line)
    for line in reversed(newest):
        _print_event(line, as_json=as_json)
    if follow:
        for line in log.follow(*place):
            if _matches(line, chi, sid):
                _print_event(line, as_json=as_json)
                sys.stdout.flush()


@thehum.command("range")
@click.option("--author", help="Whose events; only this humd's own are kept here.")
@click.option("--from", "from_seq", type=click.IntRange(1), required=True, help="First seq.")
@click.option("--to", "to_seq", type=click.IntRange(1), help="Last seq. [the newest]")
@JSON
def range_(*, author: str | None, from_seq: int, to_seq: int | None, as_json: bool) -> None:
    """Show the events from one seq to another."""
    if to_seq is not None and to_seq < from_seq:
        raise click.UsageError(f"--to {to_seq} is before --from {from_seq}")
    log = Files()
    if author not in (None, log.author.hid):
        raise click.UsageError(f"no events of {author} are kept here, only of {log.author.hid}")
    for seq, line in log.lines_from(from_seq):
        if to_seq is not None and seq > to_seq:
            break
        _print_event(line, as_json=as_json)


@thehum.command()
@click.option("--full", is_flag=True, help="Check every signature, not one for each segment.")
@JSON
def verify(*, full: bool, as_json: bool) -> int:
    """Walk the whole chain; name the first event that is wrong, and what is wrong with it."""
    log = Files()
    return _print_verdict(log, log.audit(every=full), as_json=as_json)


thehum.add_command(cat)
thehum.add_command(prove)
thehum.add_command(check_proof)


class Files:
    """The log's files, read only."""

    def __init__(self, *, wait: bool = False) -> None:
        from nest.paths import Paths
        from thehum.core.audit import Author
        from thrum.errors import LocalError

        paths = Paths.from_environment(os.environ)
        self.root = paths.thehum
        self._paths = paths
        self.remembered_seq = self._seq()
        while not (paths.thehum_author.exists() and self._segments()):
            if not wait:
                raise LocalError(f"there is no log in {self.root}", hint="hum up")
            time.sleep(FOLLOW_SECONDS)
        self.firsts = self._segments()
        author = _fields(paths.thehum_author.read_bytes())
        self.author = Author(hid=author["hid"], public=bytes.fromhex(author["pubkey"]))

    def _segments(self) -> list[int]:
        from thehum.core.names import segment_seq

        if not self.root.is_dir():
            return []
        found = {segment_seq(name) for name in os.listdir(self.root)}
        return sorted(seq for seq in found if seq is not None)

    def _seq(self) -> int:
        try:
            return int.from_bytes(self._paths.thehum_seq.read_bytes()[:8], "big")
        except FileNotFoundError:
            return 0

    def open(self, first_seq: int) -> BinaryIO:
        """A segment's file; the compressed one when the plain one is gone."""
        from thehum.core.names import packed_name, segment_name

        try:
            return (self.root / segment_name(first_seq)).open("rb")
        except FileNotFoundError:
            return (self.root / packed_name(first_seq)).open("rb")

    def stored(self, first_seq: int) -> bytes:
        """What is in a segment's file."""
        with self.open(first_seq) as file:
            return file.read()

    def plain(self, first_seq: int) -> bytes:
        """A segment's lines, and the zeros behind them."""
        from thehum.core.sealed import unpack

        return unpack(self.stored(first_seq))[0]

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
            pid = int(self._paths.thehum_lock.read_text())
            os.kill(pid, 0)
        except (OSError, ValueError):
            return None
        return pid

    def lines_backwards(self) -> Iterator[bytes]:
        """Every whole line, newest first."""
        from thehum.core.pages import lines_of

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
        from thehum.core.pages import lines_of

        newest = self.firsts[-1]
        return newest, sum(len(line) + 1 for line in lines_of(self.plain(newest)))

    def follow(self, first_seq: int, offset: int) -> Iterator[bytes]:
        """Lines behind `offset` as they are written, for ever, into later segments too."""
        from thehum.core.pages import lines_of

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
        from thehum.core.sealed import is_packed, unpack

        with self.open(first_seq) as file:
            if is_packed(file.read(4)):
                file.seek(0)
                return unpack(file.read())[0][offset:]
            file.seek(offset)
            return file.read()

    def _wants_progress(self, firsts: list[int]) -> bool:
        return sys.stderr.isatty() and len(firsts) >= PROGRESS_SEGMENTS

    def events_about(self, firsts: list[int]) -> int:
        """How many events there are from the first of `firsts` on, as far as was remembered."""
        return max(self.remembered_seq, firsts[-1]) - firsts[0] + 1

    def audit(self, *, newest: int | None = None, every: bool = False) -> "Report":
        """Verify all segments, or only the newest ones."""
        from thehum.core.audit import audit

        firsts = self.firsts if newest is None else self.firsts[-newest:]
        show = _Progress(self.events_about(firsts)) if self._wants_progress(firsts) else None
        report = audit(
            firsts,
            self.stored,
            self.author,
            every=every,
            remembered_seq=self.remembered_seq,
            progress=show or (lambda _: None),
        )
        if show:
            show.clear()
        return report


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
    from thehum.core import sealed
    from thehum.core.pages import lines_of, offset_near

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


def _print_verdict(log: Files, report: "Report", *, as_json: bool) -> int:
    """One line on what the audit found; the exit status."""
    from hum.output import data, data_json

    damage = report.damage
    if as_json:
        data_json(
            {
                "ok": damage is None,
                "author": log.author.hid,
                "first_seq": report.first_seq,
                "head_seq": report.head.seq,
                "head_hash": report.head.hash,
                "events": report.events,
                "segments": report.segments,
                "signatures": report.signatures,
                "unfinished_bytes": report.unfinished_bytes,
                "damage": damage
                and {
                    "seq": damage.seq,
                    "flaw": damage.flaw.name.lower(),
                    "reason": str(damage.flaw),
                    "group_first_seq": damage.group_first_seq,
                },
            }
        )
        return 0 if damage is None else EXIT_DAMAGED
    if damage is None:
        data(click.style(f"{report.events:,} events, chain ok, signatures ok", fg="green"))
        return 0
    data(click.style(f"damaged at {damage}", fg="red"))
    data(
        f"{report.events:,} events before it are good; nothing was changed; "
        f"copies of damaged bytes are kept in {log.root / 'quarantine'}"
    )
    return EXIT_DAMAGED


def _matches(line: bytes, chi: str | None, sid: str | None) -> bool:
    if chi is None and sid is None:
        return True
    fields = _fields(line)
    return (chi is None or fields.get("chi") == chi) and (sid is None or fields.get("sid") == sid)


def _print_event(line: bytes, *, as_json: bool) -> None:
    from hum.output import data, printable
    from thehum.core.events import MalformedEvent, read_event

    if as_json:
        data(line.decode())
        return
    try:
        event = read_event(line)
    except MalformedEvent:
        data("(not an event) " + printable(line[:BODY_CHARS].decode(errors="replace")))
        return
    words = "  ".join(printable(word) for word in (event.chi, event.sid or "-", event.rid))
    data(f"{event.seq:>8}  {_clock(event.ts_ms)}  {words}  {_short(event.body)}")


def _short(body: bytes) -> str:
    """The start of a body, without how it came."""
    import orjson

    from hum.output import printable

    shown = {key: value for key, value in _fields(body).items() if key != "@via"}
    text = printable(orjson.dumps(shown).decode())
    return text if len(text) <= BODY_CHARS else text[: BODY_CHARS - 1] + "…"


def _clock(ts_ms: int) -> str:
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(ts_ms // 1000))
    return f"{stamp}.{ts_ms % 1000:03d}"


def _fields(line: bytes) -> dict[str, Any]:
    """The keys of a line; empty when it is not one."""
    import orjson

    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return fields if isinstance(fields, dict) else {}
