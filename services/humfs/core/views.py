"""How things are shown to a model.

Every view fits the cap, and says what it left out and how to get it. Control characters are
escaped, so nothing in a file can steer a terminal or break the line structure.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from humfs.core.anchors import Anchor
from humfs.core.symbols import MEMBER_KINDS, PART_KINDS, Outline, Symbol
from humfs.core.text import Span, Text

OUTPUT_CHARS_MAX = 7_500
"""Characters of one answer."""
OUTLINE_CHARS_MAX = 5_000
"""Characters of an outline; a longer one is folded, innermost rows first."""
FOLD_DEPTH_MAX = 12
"""Deeper rows are folded together in one step."""
PREAMBLE_LINES = 20
PREAMBLE_LINE_CHARS_MAX = 200
NOTE_CHARS = 600
"""Room kept for what an answer says about what it left out."""
HEX_BYTES = 256
LISTED_FILES_MAX = 200
"""More files than this are shown as totals of their directories."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
_CONTROL_IN_NAMES = re.compile(_CONTROL.pattern.replace(r"\x08\x0b", r"\x0a\x0b"))


@dataclass(slots=True)
class Page:
    """An answer that grows up to its cap."""

    cap: int = OUTPUT_CHARS_MAX
    parts: list[str] = field(default_factory=list)
    used: int = 0
    truncated: bool = False

    def fits(self, text: str, *, reserve: int = 0) -> bool:
        """Whether `text` still has room, with `reserve` characters to spare."""
        return self.used + len(text) + 1 + reserve <= self.cap

    def add(self, text: str) -> None:
        """Append a block of lines."""
        self.parts.append(text)
        self.used += len(text) + 1

    def note(self, text: str) -> None:
        """Say that something was left out."""
        self.truncated = True
        self.add(text)

    def text(self) -> str:
        """The answer."""
        return "\n".join(self.parts)[: self.cap]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a listing of places."""

    depth: int
    text: str


def clean(text: str) -> str:
    """Text without control characters but tabs and line ends."""
    return _CONTROL.sub(_escaped, text)


def clean_name(path: str) -> str:
    """A path on one line."""
    return _CONTROL_IN_NAMES.sub(_escaped, path)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return (
        "\ufffd"
        if 0xD800 <= code <= 0xDFFF
        else f"\\x{code:02x}"
        if code < 256
        else f"\\u{code:04x}"
    )


def place(text: Text, span: Span) -> str:
    """`La-Lb`."""
    return f"L{text.first_line(span)}-L{text.last_line(span)}"


def numbered(text: Text, first: int, last: int) -> str:
    """Lines with their numbers."""
    lines = range(first, min(last, text.lines) + 1)
    return "\n".join(f"{line:>6}\t{clean(text.line(line))}" for line in lines)


def numbered_span(text: Text, span: Span) -> str:
    """The complete lines of a span, with their numbers."""
    return numbered(text, text.first_line(span), text.last_line(span))


def outline_block(outline: Outline, text: Text, *, imports: bool = True) -> tuple[str, bool]:
    """The rows of an outline within `OUTLINE_CHARS_MAX`, and whether some were left out."""
    head = []
    if imports and outline.imports is not None:
        head.append(f"imports {place(text, outline.imports)}")
    symbols = list(outline)
    if not symbols and not head:
        return "(no symbols detected)", False
    return symbol_rows(symbols, text, head=head)


def symbol_rows(
    symbols: Sequence[Symbol], text: Text, *, head: Sequence[str] = ()
) -> tuple[str, bool]:
    """Rows of symbols, folded until they fit; and whether some were left out."""
    depths = {id(symbol): symbol.depth for symbol in symbols}
    top = min(depths.values(), default=0)
    hidden: set[int] = set()
    for fold in _folds(symbols, depths, top):
        hidden |= fold
        rows = [*head, *_rows(symbols, text, depths=depths, top=top, hidden=hidden)]
        if sum(map(len, rows)) + len(rows) <= OUTLINE_CHARS_MAX:
            return "\n".join(rows), bool(hidden)
    return _cut_rows(rows), True


def _folds(symbols: Sequence[Symbol], depths: dict[int, int], top: int) -> Iterable[set[int]]:
    """What is hidden step by step: nothing, members, then the deepest rows."""
    yield set()
    yield {id(one) for one in symbols if one.kind in MEMBER_KINDS and depths[id(one)] > top}
    deepest = min(max(depths.values(), default=top), top + FOLD_DEPTH_MAX)
    for depth in range(deepest, top, -1):
        yield {id(one) for one in symbols if depths[id(one)] >= depth}


def _rows(
    symbols: Sequence[Symbol],
    text: Text,
    *,
    depths: dict[int, int],
    top: int,
    hidden: set[int],
) -> list[str]:
    rows = []
    for symbol in symbols:
        if id(symbol) in hidden:
            continue
        folded = sum(id(one) in hidden for one in symbol.children)
        more = f" (+{folded} inside)" if folded else ""
        indent = "  " * (depths[id(symbol)] - top)
        kind = "" if symbol.kind in PART_KINDS else f"{symbol.kind} "
        row = f"{indent}{kind}{symbol.label}{symbol.signature} {place(text, symbol.full)}"
        rows.append(clean_name(row) + more)
        if symbol.imports is not None:
            rows.append(f"{indent}  imports {place(text, symbol.imports)}")
    return rows


def anchor_block(anchors: Sequence[Anchor], text: Text) -> tuple[str, bool]:
    """The rows of anchors within `OUTLINE_CHARS_MAX`, and whether some were left out."""
    rows = []
    for anchor in anchors:
        mark = "§" if anchor.is_block else "·"
        row = f"{'  ' * anchor.depth}{mark} {anchor.label} {place(text, anchor.span)}"
        rows.append(clean_name(row))
    if sum(map(len, rows)) + len(rows) <= OUTLINE_CHARS_MAX:
        return "\n".join(rows), False
    return _cut_rows(rows), True


def _cut_rows(rows: Sequence[str]) -> str:
    page = Page(OUTLINE_CHARS_MAX)
    for at, row in enumerate(rows):
        if not page.fits(row, reserve=80):
            page.add(f'… {len(rows) - at} more rows; "query" or "pattern" finds them by name')
            break
        page.add(row)
    return page.text()


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What a single-file view says about the file itself."""

    path: str
    size: int
    lines: int
    """Of the whole file, which may be longer than the text at hand."""


def file_view(
    facts: FileFacts,
    text: Text,
    *,
    outline: Outline | None = None,
    anchors: Sequence[Anchor] = (),
    kind: str = "",
    cap: int = OUTPUT_CHARS_MAX,
) -> Page:
    """One text file: outline or anchors, and the content if all of it fits, else first lines."""
    page = Page(cap)
    page.add(f"=== {clean_name(facts.path)} ===")
    page.add(f"[{facts.size} bytes, {facts.lines} lines]")
    if outline is not None:
        rows, page.truncated = outline_block(outline, text)
        page.add(f"[{outline.language} — {sum(1 for _ in outline)} symbol(s)]\noutline:\n{rows}")
    elif anchors:
        rows, page.truncated = anchor_block(anchors, text)
        page.add(f"[{kind} — {len(anchors)} anchor(s)]\nanchors:\n{rows}")
    if facts.lines == 0:
        return page
    may_fit = facts.lines == text.lines and len(text.source) <= 4 * cap
    content = "content:\n" + numbered(text, 1, text.lines) if may_fit else ""
    if content and page.fits(content):
        page.add(content)
    else:
        _add_preamble(page, facts, text)
    return page


def _add_preamble(page: Page, facts: FileFacts, text: Text) -> None:
    page.add("preamble:")
    shown = 0
    for line in range(1, min(PREAMBLE_LINES, text.lines) + 1):
        row = f"{line:>6}\t{cut_line(clean(text.line(line)), PREAMBLE_LINE_CHARS_MAX)}"
        if not page.fits(row, reserve=NOTE_CHARS // 2):
            break
        page.add(row)
        shown = line
    left = facts.lines - shown
    page.note(f'[{left} more line(s); ask with "symbol", "query" or "pattern" for the rest]')


def cut_line(line: str, chars: int) -> str:
    """At most the first `chars` characters of a line; says how many are left out."""
    return line if len(line) <= chars else f"{line[:chars]}…(+{len(line) - chars})"


def binary_view(facts: FileFacts, head: bytes, *, mime: str) -> str:
    """Size, guessed type and the first bytes of a binary file."""
    rows = [
        f"{at:>6x}  {head[at : at + 16].hex(' ')}" for at in range(0, min(len(head), HEX_BYTES), 16)
    ]
    first = f"=== {clean_name(facts.path)} ===\n[binary:{mime}, {facts.size} bytes]"
    left = facts.size - min(len(head), HEX_BYTES)
    more = f"\n[{left} more bytes, not shown: the file is binary]" if left > 0 else ""
    return "\n".join([first, *rows]) + more


@dataclass(frozen=True, slots=True)
class Listed:
    """One file of a listing."""

    path: str
    size: int
    lines: int | None
    """None: not counted."""


def listing(files: Sequence[Listed], *, stopped: str = "", cap: int = OUTPUT_CHARS_MAX) -> Page:
    """Several files, one row each."""
    page = Page(cap)
    page.add(f"=== {len(files)} files ===")
    for at, file in enumerate(files):
        lines = "?" if file.lines is None else str(file.lines)
        row = f"{file.size:>10}b {lines:>6}L {clean_name(file.path)}"
        if not page.fits(row, reserve=NOTE_CHARS):
            page.note(f"[{len(files) - at} more files; narrow file_path to a directory or a glob]")
            break
        page.add(row)
    if stopped:
        page.note(stopped)
    page.add('[read one by its path; search them all with "symbol", "query" or "pattern"]')
    return page


def totals(
    counts: dict[str, tuple[int, int]],
    *,
    files: int,
    stopped: str = "",
    cap: int = OUTPUT_CHARS_MAX,
) -> Page:
    """Many files: files and bytes of each directory, largest counts first."""
    page = Page(cap)
    page.truncated = True
    page.add(f"=== {files} files ===")
    rows = sorted(counts.items(), key=lambda item: (-item[1][0], item[0]))
    for at, (directory, (number, size)) in enumerate(rows):
        row = f"{number:>8} files {size:>12}b {clean_name(directory)}"
        if not page.fits(row, reserve=NOTE_CHARS):
            page.note(f"[{len(rows) - at} more directories]")
            break
        page.add(row)
    if stopped:
        page.note(stopped)
    page.add(
        "[too many to list: give one of these directories or a glob such as **/*.py as file_path, "
        'or search them all with "symbol", "query" or "pattern"]'
    )
    return page


@dataclass(frozen=True, slots=True)
class Section:
    """A place to show with its source."""

    header: str
    """What stands between the equals signs, without the range."""
    text: Text
    span: Span
    symbol: Symbol | None = None
    key: str = ""
    """The path that an edit of this place is known by."""

    @property
    def content(self) -> bytes:
        """The bytes of the place."""
        return self.text.source[self.span.start : self.span.end]

    @property
    def title(self) -> str:
        """The header line."""
        return f"=== {clean_name(self.header)} ({place(self.text, self.span)}) ==="

    @property
    def source(self) -> str:
        """The numbered lines."""
        return numbered_span(self.text, self.span)


class Shown(IntEnum):
    """What a page shows of a place."""

    NOTHING = 0
    SUMMARY = 1
    SOURCE = 2


def add_section(page: Page, section: Section, *, reserve: int = 0) -> Shown:
    """Append a place with its source; with its members when it is too long for any page.

    Appends nothing when it would fit a page but not the rest of this one.
    """
    span = section.span
    is_huge = span.end - span.start > 4 * page.cap
    block = "" if is_huge else f"{section.title}\n{section.source}"
    if not is_huge and page.fits(block, reserve=reserve):
        page.add(block)
        return Shown.SOURCE
    if not is_huge and len(block) + 1 + NOTE_CHARS <= page.cap:
        return Shown.NOTHING
    summary = _summary(section)
    if not page.fits(summary, reserve=reserve):
        return Shown.NOTHING
    page.note(summary)
    return Shown.SUMMARY


def _summary(section: Section) -> str:
    """A place that is too long for any page: its range, its members, how to ask for one."""
    text, symbol = section.text, section.symbol
    lines = text.last_line(section.span) - text.first_line(section.span) + 1
    if symbol is None or not symbol.children:
        first = text.first_line(section.span)
        head = "\n".join(
            f"{line:>6}\t{cut_line(clean(text.line(line)), PREAMBLE_LINE_CHARS_MAX)}"
            for line in range(first, first + min(lines, PREAMBLE_LINES))
        )
        return (
            f'{section.title}\n{head}\n[{lines} lines, too long to show; find lines with "pattern"]'
        )
    inner = list(_all_below(symbol))
    rows, _ = symbol_rows(inner, text)
    ask = f'[{lines} lines, too long to show; ask for one member: symbol "{inner[0].path}"]'
    return f"{section.title}\noutline:\n{rows}\n{clean_name(ask)}"


def _all_below(symbol: Symbol) -> Iterable[Symbol]:
    waiting = symbol.children[::-1]
    while waiting:
        inner = waiting.pop()
        yield inner
        waiting.extend(reversed(inner.children))
