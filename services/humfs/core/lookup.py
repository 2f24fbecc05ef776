"""Symbol paths: from `Outer.name#2` or `work.when.body` to the places they mean.

A path is segments separated by `.` or `::`; a segment may be quoted in backticks and may carry
`#N`. It is tried, in this order, as the import block, as the row of an outline it comes from, from
the top level, and from any depth. Reading shows every candidate; an overload set counts as one
unless `#N` picks a member.
"""

import difflib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tree_sitter import Node

from humfs.core import aliases
from humfs.core.symbols import PART_KINDS, Outline, Symbol
from humfs.core.syntax import Syntax
from humfs.core.text import Span

IMPORTS = "imports"
SEGMENTS_MAX = 64
"""A longer path finds nothing."""
NEAREST_MAX = 5
NEAREST_NAMES_MAX = 20_000
"""Names compared when a symbol is not found."""

_SEGMENT = re.compile(r"(?:`([^`]*)`|((?:[^.:`]|:(?!:))+?))(?:#([0-9]{1,9}))?(?=\.|::|$)")
_SEPARATOR = re.compile(r"\.|::")
_WORD = re.compile(r"\w+")
_NOT_SURE = aliases.WORDS | {IMPORTS}
"""Words that lead somewhere without standing there."""


@dataclass(frozen=True, slots=True)
class Match:
    """One place a path means."""

    path: str
    kind: str
    """Empty for a place inside a symbol."""
    span: Span
    symbol: Symbol | None = None
    """The symbol itself; None for the import block and places inside a symbol."""
    syntax: Syntax | None = None
    """Of the tree the place is in; None for the import block."""
    nodes: tuple[Node, ...] = ()
    """What stands there; empty for the import block."""


@dataclass(frozen=True, slots=True)
class _Segment:
    name: str
    number: int | None
    start: int
    end: int
    """Of the name with its quotes, without `#N`, in the path."""


def find(outline: Outline, path: str) -> list[Match]:
    """Every place `path` means in this file, in file order; empty when it means none.

    A letter may be written as one character or as several; what is not found as it is given is
    looked for as the file writes it.
    """
    found = _find(outline, path)
    return found if found or path.isascii() else _find(outline, _respelled(outline, path))


def _respelled(outline: Outline, path: str) -> str:
    """`path` with its names as the file writes them."""
    written = {_folded(one.name): one.name for one in outline if not one.name.isascii()}
    for segment in reversed(_parse(path)):
        name = written.get(_folded(segment.name), segment.name)
        quote = "`" if path[segment.start] == "`" else ""
        path = f"{path[: segment.start]}{quote}{name}{quote}{path[segment.end :]}"
    return path


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name)


def _find(outline: Outline, path: str) -> list[Match]:
    if path == IMPORTS:
        return _imports(outline)
    written = [one for one in outline if _is_row(one, path)]
    if written:
        return _sets(written)
    segments = _parse(path)
    if not segments:
        return []
    search = _Search(path, segments)
    found = search.below(outline.symbols, 0)
    if not found:
        for scope in outline:
            found += search.below(scope.children, 0)
    return sorted(found, key=lambda match: match.span.start)


def _imports(outline: Outline) -> list[Match]:
    """The import block of a file; else that of the one part of it that has one."""
    if outline.imports is not None:
        return [Match(IMPORTS, IMPORTS, outline.imports)]
    parts = [one for one in outline.symbols if one.imports is not None]
    return [_block(one) for one in sorted(parts, key=_order)[:1]]


def _block(symbol: Symbol) -> Match:
    assert symbol.imports is not None
    return Match(f"{symbol.path}.{IMPORTS}", IMPORTS, symbol.imports, None, symbol.syntax)


def _is_row(symbol: Symbol, path: str) -> bool:
    """Whether `path` is a row of the outline as written: its full path, or its kind and name."""
    return path == symbol.address or (
        path.startswith(symbol.kind) and path == f"{symbol.kind} {symbol.name}"
    )


def words_of(path: str) -> list[bytes]:
    """Words that stand in every file that holds `path`, for `holds_each`; empty: nothing is sure.

    A name in quotes, with spaces, with signs of its own or with letters that have several forms may
    be written otherwise in a file.
    """
    if path == IMPORTS or " " in path or "`" in path:
        return []
    names = [segment.name.split("#")[0] for segment in _parse(path)]
    names = [name for name in names if name.isascii() or _is_written_one_way(name)]
    parts = (part for name in names if name not in _NOT_SURE for part in _WORD.findall(name))
    return [part.encode() for part in parts]


def _is_written_one_way(name: str) -> bool:
    return all(unicodedata.is_normalized(form, name) for form in ("NFD", "NFKC"))


def nearest(asked: str, known: Iterable[tuple[str, str]]) -> list[str]:
    """Up to `NEAREST_MAX` descriptions, from (name, description) pairs, of names like `asked`."""
    segments = _parse(asked)
    wanted = (segments[-1].name if segments else asked).lower()
    names: dict[str, str] = {}
    for name, description in known:
        names.setdefault(name.lower(), description)
        if len(names) == NEAREST_NAMES_MAX:
            break
    close = difflib.get_close_matches(wanted, names, n=NEAREST_MAX, cutoff=0.5)
    return [names[name] for name in close]


@dataclass(frozen=True, slots=True)
class _Search:
    """One path on its way down."""

    path: str
    segments: list[_Segment]

    def below(self, siblings: list[Symbol], at: int) -> list[Match]:
        """The places the segments from `at` mean among `siblings`: short names first."""
        for end in range(at + 1, len(self.segments) + 1):
            name, number = self._run(at, end)
            named = [one for one in siblings if _is_named(one, name, number)]
            if not named:
                continue
            if end == len(self.segments):
                found = _sets(_targets(named, name), split=number is not None)
            elif named[0].kind in PART_KINDS:
                parts = sorted(named, key=_order)
                found = next(
                    filter(None, (self._within([one], [], name, end) for one in parts)), []
                )
            else:
                found = self._within(named, siblings, name, end)
            if found:
                return found
        return []

    def _within(
        self, named: list[Symbol], siblings: list[Symbol], name: str, at: int
    ) -> list[Match]:
        """The places below symbols of one name: their members, wherever those are, then blocks."""
        members = [inner for one in named for inner in one.children]
        members += [one for one in siblings if one.owner == name and one.member]
        found = self.below(members, at)
        last = self.segments[at]
        if not found and at + 1 == len(self.segments) and last.name == IMPORTS:
            found = [_block(one) for one in named if one.imports is not None]
        if not found and any(one.syntax.is_markup for one in named):
            found = self._deep(named, at)
        return found or self._inside(_targets(named, name), at)

    def _deep(self, named: list[Symbol], at: int) -> list[Match]:
        """Elements of a tag at any depth below others, counted in document order."""
        name, number = self._run(at, at + 1)
        inside = [inner for one in named for inner in _all_below(one)]
        below = [one for one in inside if name in (one.name, one.name.partition("#")[0])]
        chosen = below if number is None else below[number - 1 : number]
        if at + 1 == len(self.segments):
            return [_match(one) for one in chosen]
        return self._within(chosen, [], name, at + 1) if chosen else []

    def _run(self, at: int, end: int) -> tuple[str, int | None]:
        last = self.segments[end - 1]
        if end == at + 1:
            return last.name, last.number
        return self.path[self.segments[at].start : last.end], last.number

    def _inside(self, symbols: list[Symbol], at: int) -> list[Match]:
        if any(segment.name not in aliases.WORDS for segment in self.segments[at:]):
            return []
        words = ".".join(
            f"{one.name}#{one.number}" if one.number else one.name for one in self.segments[at:]
        )
        found = []
        for symbol in symbols:
            place: aliases.Inside | None = aliases.at(symbol.node)
            for segment in self.segments[at:]:
                if place is not None:
                    walks = symbol.syntax.walks
                    place = aliases.step(place, segment.name, segment.number or 1, walks)
            if place is not None:
                path = f"{symbol.address}.{words}"
                found.append(Match(path, "", place.span, None, symbol.syntax, place.nodes))
        return found


def _parse(path: str) -> list[_Segment]:
    """The segments of a path; empty for text that is no path."""
    segments: list[_Segment] = []
    at = 0
    while True:
        match = _SEGMENT.match(path, at)
        if match is None or len(segments) == SEGMENTS_MAX:
            return []
        quoted, plain, number = match.groups()
        end = match.end() - (len(number) + 1 if number else 0)
        name = plain if quoted is None else quoted
        segments.append(_Segment(name, int(number) if number else None, at, end))
        if match.end() == len(path):
            return segments
        separator = _SEPARATOR.match(path, match.end())
        if separator is None:
            return []
        at = separator.end()


def _is_named(symbol: Symbol, name: str, number: int | None) -> bool:
    if name not in (symbol.name, symbol.member or symbol.owner, f"{symbol.kind} {symbol.name}"):
        return False
    return number is None or number == (symbol.number or 1)


def _targets(named: list[Symbol], name: str) -> list[Symbol]:
    """Without the blocks that only add members to a type of this name."""
    return [one for one in named if one.kind != "impl" or name != one.owner]


def _all_below(symbol: Symbol) -> Iterator[Symbol]:
    for inner in symbol.children:
        yield inner
        yield from _all_below(inner)


def _order(part: Symbol) -> int:
    """The block that has no number is the one that is meant without one."""
    return part.number


def _match(symbol: Symbol) -> Match:
    return Match(symbol.address, symbol.kind, symbol.full, symbol, symbol.syntax, (symbol.node,))


def _sets(symbols: list[Symbol], *, split: bool = False) -> list[Match]:
    """One match for each symbol; unless `split`, one for each overload set among them."""
    if split:
        return [_match(one) for one in symbols]
    matches = []
    for group in _overloads(symbols):
        first, last = group[0], group[-1]
        if len(group) == 1:
            matches.append(_match(first))
            continue
        holder = f"{first.holder}." if first.holder else ""
        span = Span(first.full.start, last.full.end)
        nodes = tuple(one.node for one in group)
        path = f"{holder}{first.name}"
        matches.append(Match(path, first.kind, span, last, last.syntax, nodes))
    return matches


def _overloads(symbols: list[Symbol]) -> Iterator[list[Symbol]]:
    """Runs of stubs with the symbol that follows them; any other symbol on its own."""
    group: list[Symbol] = []
    for symbol in symbols:
        if group and not (group[-1].is_overload and _follows(group[-1], symbol)):
            yield group
            group = []
        group.append(symbol)
    if group:
        yield group


def _follows(one: Symbol, other: Symbol) -> bool:
    same = one.holder == other.holder and one.name == other.name
    return same and other.number == one.number + 1
