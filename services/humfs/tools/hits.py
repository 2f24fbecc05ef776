"""Searches by content: the lines that match a pattern, each with the symbol it is in."""

from collections import Counter
from dataclasses import astuple, dataclass, field

from humfs.core import patterns, views
from humfs.core.languages import is_parsed, language_of
from humfs.core.languages.language import ParseStopped
from humfs.core.symbols import Outline
from humfs.core.text import UTF8_MARK, Text, decode, is_binary, is_utf16
from humfs.edge import files
from humfs.edge.copies import Said
from humfs.edge.roots import refused_by_system
from humfs.edge.walks import Target
from humfs.errors import Refusal
from humfs.tools.sources import Binary, Sources
from thrum.tones import Body

UTF16_BYTES_MAX = 20 * 1024 * 1024
"""Largest UTF-16 file that is searched; it is decoded whole."""
HITS_KEPT_MAX = 2_000
"""Hits kept with their line; later ones are only counted."""
PLACED_MAX = 25
"""Hits of a part of a search whose symbols are looked up there: so few are all shown."""
HIT_CHARS = 60
"""Characters of a line around the match, when whole lines do not fit."""
HIT_CHARS_MIN = 8
"""No hit takes less of an answer."""
ENDING_CHARS = 300
"""Room kept for what an answer says about what it left out."""


def show_pattern(sources: Sources, pattern: str, *, cap: int) -> tuple[views.Page, Body]:
    """Show the lines that match; none is no error. Raises `Refusal` for a bad pattern."""
    page, expression = views.Page(cap), patterns.compiled(pattern)

    def work(own: Sources, part: range) -> Said:
        search = _Search(own, expression, own.targets)
        for at in own.each(part):
            search.file(at)
        search.flush()
        kept = [[at, *astuple(hit)] for at, hit in search.kept]
        few = len(kept) if len(kept) <= PLACED_MAX else 0
        placed = _Places(own, search.kept)
        brackets = [placed.bracket(number) for number in range(few)]
        return [kept, brackets, search.counts.total(), len(search.counts)]

    places, hits, files_hit = _Places(sources), 0, 0
    for kept, brackets, count, files_count in sources.shared(range(len(sources.targets)), work):
        places.add(kept[: HITS_KEPT_MAX - len(places.hits)], brackets)
        hits, files_hit = hits + count, files_hit + files_count
    page.add(f"[{hits} match(es) across {files_hit} file(s)]")
    _show(page, places, total=hits)
    return sources.end(page, hits)


@dataclass(slots=True)
class _Search:
    """One expression over many files, which are read one by one and searched in batches."""

    sources: Sources
    expression: patterns.Expression
    targets: list[Target]
    kept: list[tuple[int, patterns.Hit]] = field(default_factory=list)
    """The first hits, each with the position of its file."""
    counts: Counter[int] = field(default_factory=Counter)
    """Hits of each file."""
    _batch: patterns.Batch = field(default_factory=patterns.Batch)

    def file(self, at: int) -> None:
        """Search one file, now or with the next; skip it when it is binary or cannot be read."""
        target = self.targets[at]
        try:
            head = self.sources.reader.head(target.place)
            if is_utf16(head) and (content := self._utf16(target)) is not None:
                self._add(at, 1, decode(content).source)
            elif is_binary(head):
                self.sources.skipped.add(target.path)
            elif len(head) < files.BLOCK_BYTES:
                self._add(at, 1, head.removeprefix(UTF8_MARK))
            else:
                self._long(at, target)
        except OSError as trouble:
            if self.sources.resolved.is_single:
                raise refused_by_system(target.path, trouble) from trouble
            self.sources.skipped.add(target.path)

    def _utf16(self, target: Target) -> bytes | None:
        """A file's content, which cannot be searched in pieces; None when it is too large."""
        with self.sources.roots.open_place(target.place) as opened:
            if opened.status.st_size > UTF16_BYTES_MAX:
                return None
            return files.read_whole(opened, bytes_max=2 * UTF16_BYTES_MAX)

    def flush(self) -> None:
        """Search what is gathered."""
        for at, hit in self._batch.hits(self.expression):
            self.counts[at] += 1
            if len(self.kept) < HITS_KEPT_MAX:
                self.kept.append((at, hit))
        self._batch = patterns.Batch()

    def _add(self, at: int, line: int, text: bytes) -> None:
        self._batch.add(at, line, text)
        if self._batch.size >= files.BLOCK_BYTES:
            self.flush()

    def _long(self, at: int, target: Target) -> None:
        """Search a file in pieces, until the time is over."""
        with self.sources.roots.open_place(target.place) as opened:
            for number, (line, lines) in enumerate(files.line_pieces(opened)):
                if self.sources.is_out_of_time(target):
                    return
                self._add(at, line, lines if number else lines.removeprefix(UTF8_MARK))


def _show(page: views.Page, places: "_Places", *, total: int) -> None:
    """Whole lines if they fit, else lines cut around the match, else places, else some of them."""
    hits = len(places.hits)
    room = page.cap - page.used - ENDING_CHARS
    if total == hits and total <= room // HIT_CHARS_MIN:
        for chars in (None, HIT_CHARS, 0):
            rows = places.rows(chars, room=room)
            if rows is not None:
                page.truncated = chars is not None and bool(hits)
                for row in rows:
                    page.add(row)
                return
    shown = 0
    for at in range(hits):
        row = places.row(at, 0)
        if not page.fits(row, reserve=ENDING_CHARS):
            break
        page.add(row)
        shown += 1
    page.note(f"[{total - shown} more match(es), not shown; narrow file_path or pattern]")


@dataclass(slots=True)
class _Places:
    """Rows of hits; the enclosing symbols of a file are looked up when its first row is made."""

    sources: Sources
    hits: list[tuple[int, patterns.Hit]] = field(default_factory=list)
    _at: int = -1
    _text: Text | None = None
    _outline: Outline | None = None
    _brackets: dict[int, str] = field(default_factory=dict)

    def add(self, hits: Said, brackets: list[str]) -> None:
        """Take hits as a part of the search told them, the first of them with their symbols."""
        self._brackets |= dict(enumerate(brackets[: len(hits)], start=len(self.hits)))
        self.hits += [(at, patterns.Hit(*hit)) for at, *hit in hits]

    def rows(self, chars: int | None, *, room: int) -> list[str] | None:
        """Rows with at most `chars` characters of each line (0: none); None if too long."""
        targets = self.sources.targets
        least = sum(
            len(targets[file].path)
            + 3
            + (len(hit.text) if chars is None else min(chars, len(hit.text)))
            for file, hit in self.hits
        )
        if least > room:
            return None
        rows = [self.row(at, chars) for at in range(len(self.hits))]
        return rows if sum(map(len, rows)) + len(rows) <= room else None

    def row(self, at: int, chars: int | None) -> str:
        """One hit: its place, the symbol it is in, its line."""
        file, hit = self.hits[at]
        path = views.clean_name(self.sources.targets[file].path)
        first = f"{path}:{hit.line}{self.bracket(at)}"
        return first if chars == 0 else f"{first}\t{_line(hit, chars)}"

    def bracket(self, at: int) -> str:
        """The symbol a hit is in, in brackets; empty when it is in none."""
        if at not in self._brackets:
            self._brackets[at] = self._bracket(*self.hits[at])
        return self._brackets[at]

    def _bracket(self, file: int, hit: patterns.Hit) -> str:
        if file != self._at:
            self._at = file
            self._text, self._outline = self._parsed(self.sources.targets[file])
        if self._text is None or self._outline is None or hit.line > self._text.lines:
            return ""
        start = self._text.line_span(hit.line).start + hit.byte
        symbol = self._outline.innermost(start)
        return f" [{views.clean_name(symbol.described)}]" if symbol else ""

    def _parsed(self, target: Target) -> tuple[Text | None, Outline | None]:
        if not is_parsed(target.path) or self.sources.watch.wants_stop():
            return None, None
        try:
            text = self.sources.decoded(target)
            language = language_of(target.path, text.source)
            if language is None:
                return None, None
            return text, language.outline(text.source, self.sources.watch.wants_stop)
        except (Binary, OSError, Refusal, ParseStopped):
            return None, None


def _line(hit: patterns.Hit, chars: int | None) -> str:
    """A hit's line, cut around the match; says how many characters are left out on either side."""
    width = len(hit.text) if chars is None else chars
    start = max(0, min(hit.char - width // 3, len(hit.text) - width))
    kept = hit.text[start : start + width]
    before, after = hit.before + start, hit.after + len(hit.text) - start - len(kept)
    first, last = (f"(+{before})…" if before else ""), (f"…(+{after})" if after else "")
    return f"{first}{views.clean(kept)}{last}"
