"""Searches by content: the lines that match a pattern, each with the symbol it is in."""

from dataclasses import dataclass, field

from humfs.core import patterns, views
from humfs.core.languages import is_parsed, language_of
from humfs.core.languages.language import ParseStopped
from humfs.core.symbols import Outline
from humfs.core.text import Text, decode, is_binary, is_utf16
from humfs.edge import files
from humfs.edge.matcher import Hit, Matcher
from humfs.edge.roots import refused_by_system
from humfs.edge.walks import Target
from humfs.errors import Refusal
from humfs.tools.sources import PROBE_BYTES, SYMBOL_BYTES_MAX, Sources
from thrum.tones import Body

UTF16_BYTES_MAX = 20 * 1024 * 1024
"""Largest UTF-16 file that is searched; it is decoded whole."""
HIT_CHARS = 60
"""Characters of a line around the match, when whole lines do not fit."""
HIT_CHARS_MIN = 8
"""No hit takes less of an answer."""
ENDING_CHARS = 300
"""Room kept for what an answer says about what it left out."""


def show_pattern(sources: Sources, pattern: str, *, cap: int) -> tuple[views.Page, Body]:
    """Show the lines that match; none is no error. Raises `Refusal` for a bad pattern."""
    page, expression = views.Page(cap), patterns.translate(pattern)
    with Matcher(expression, patterns.literal(pattern), sources.watch) as matcher:
        for at in sources.each():
            _feed(sources, matcher, at)
        matcher.flush()
    hits = matcher.counts.total()
    page.add(f"[{hits} match(es) across {len(matcher.counts)} file(s)]")
    _show(page, _Places(sources, matcher.hits), total=hits)
    return sources.end(page, hits)


def _feed(sources: Sources, matcher: Matcher, at: int) -> None:
    target = sources.targets[at]
    try:
        with sources.roots.open_place(target.place) as opened:
            head = files.read_head(opened, PROBE_BYTES)
            if is_binary(head) or (is_utf16(head) and target.size > UTF16_BYTES_MAX):
                sources.skipped.add(target.path)
            elif is_utf16(head):
                content = files.read_whole(opened, bytes_max=2 * UTF16_BYTES_MAX)
                matcher.add(at, 1, decode(content).source)
            else:
                for line, lines in files.line_pieces(opened):
                    sources.watch.check()
                    without = lines.removeprefix(b"\xef\xbb\xbf") if line == 1 else lines
                    matcher.add(at, line, without)
    except OSError as trouble:
        if sources.resolved.is_single:
            raise refused_by_system(target.path, trouble) from trouble
        sources.skipped.add(target.path)


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
    hits: list[Hit]
    _at: int = -1
    _text: Text | None = None
    _outline: Outline | None = None
    _brackets: dict[int, str] = field(default_factory=dict)

    def rows(self, chars: int | None, *, room: int) -> list[str] | None:
        """Rows with at most `chars` characters of each line (0: none); None if too long."""
        targets = self.sources.targets
        least = sum(
            len(targets[hit.file].path)
            + 3
            + (len(hit.text) if chars is None else min(chars, len(hit.text)))
            for hit in self.hits
        )
        if least > room:
            return None
        rows = [self.row(at, chars) for at in range(len(self.hits))]
        return rows if sum(map(len, rows)) + len(rows) <= room else None

    def row(self, at: int, chars: int | None) -> str:
        """One hit: its place, the symbol it is in, its line."""
        hit = self.hits[at]
        path = views.clean_name(self.sources.targets[hit.file].path)
        if at not in self._brackets:
            self._brackets[at] = self._bracket(hit)
        first = f"{path}:{hit.line}{self._brackets[at]}"
        return first if chars == 0 else f"{first}\t{_line(hit, chars)}"

    def _bracket(self, hit: Hit) -> str:
        if hit.file != self._at:
            self._at = hit.file
            self._text, self._outline = self._parsed(self.sources.targets[hit.file])
        if self._text is None or self._outline is None or hit.line > self._text.lines:
            return ""
        start = self._text.line_span(hit.line).start + hit.byte
        symbol = self._outline.innermost(start)
        return f" [{views.clean_name(symbol.described)}]" if symbol else ""

    def _parsed(self, target: Target) -> tuple[Text | None, Outline | None]:
        too_large = target.size > SYMBOL_BYTES_MAX
        if not is_parsed(target.path) or too_large or self.sources.watch.wants_stop():
            return None, None
        try:
            with self.sources.roots.open_place(target.place) as opened:
                text = decode(files.read_whole(opened, bytes_max=SYMBOL_BYTES_MAX))
            language = language_of(target.path, text.source)
            if language is None:
                return None, None
            return text, language.outline(text.source, self.sources.watch.wants_stop)
        except (OSError, Refusal, ParseStopped):
            return None, None


def _line(hit: Hit, chars: int | None) -> str:
    """A hit's line, cut around the match; says how many characters are left out on either side."""
    width = len(hit.text) if chars is None else chars
    start = max(0, min(hit.char - width // 3, len(hit.text) - width))
    kept = hit.text[start : start + width]
    before, after = hit.before + start, hit.after + len(hit.text) - start - len(kept)
    first, last = (f"(+{before})…" if before else ""), (f"…(+{after})" if after else "")
    return f"{first}{views.clean(kept)}{last}"
