"""Searches by name: `symbol` shows every place of a path, `query` the symbols that fit best."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

from humfs.core import anchors, lookup, ranking, views
from humfs.core.languages import is_code, is_parsed, language_of
from humfs.core.text import Span, holds_each
from humfs.edge.copies import Said
from humfs.edge.targets import Resolved
from humfs.edge.walks import Target
from humfs.errors import Code, Refusal
from humfs.tools.sources import Sources
from thrum.tones import Body

KEPT_MAX = 500
"""Best results that are kept; later ones are only counted."""
FEW_FILES = 50
"""So many are parsed without asking whether they can matter."""
MANY_RESULTS = 25
"""An answer that is full and shows so many better results waits for no weaker ones."""
NEAREST_FILES_MAX = 200
"""Files looked into for similar names when nothing is found."""


def show_symbol(sources: Sources, path: str, *, cap: int) -> tuple[views.Page, Body]:
    """Show every place a symbol path or anchor means; raises `Refusal` when there is none."""
    page, hits, shown, titles = views.Page(cap), 0, 0, list[str]()
    for target, section in _sections(sources, path):
        hits += 1
        is_shown = not titles and _shows(sources, target, page, section, views.NOTE_CHARS)
        if is_shown:
            shown += 1
        elif len(titles) < KEPT_MAX:
            titles.append(section.title)
    if not hits:
        raise _not_found(sources, "symbol", path)
    _one_line_each(page, titles, more=hits - shown - len(titles))
    return sources.end(page, hits)


def show_query(sources: Sources, query: str, *, cap: int) -> tuple[views.Page, Body]:
    """Show the symbols that fit a query, best first; raises `Refusal` when none does."""
    found, groups = _Found(), _by_rank(sources, query)
    page, shown = views.Page(cap), 0
    for rank in ranking.RANKS:
        left = sum(len(groups[other]) for other in ranking.RANKS if other >= rank)
        if left > FEW_FILES and found.count:
            page, shown = _page(sources, found, cap=cap)
            is_full = shown < found.count or not page.fits("", reserve=views.NOTE_CHARS)
            if is_full and found.better(rank) >= min(shown, MANY_RESULTS):
                page.note(f"[{left} file(s) were not parsed: they hold weaker results only]")
                return sources.end(page, found.count)
        _rank(sources, groups[rank], query, found)
    if not found.count:
        raise _not_found(sources, "query", query)
    page, _ = _page(sources, found, cap=cap)
    return sources.end(page, found.count)


def _page(sources: Sources, found: "_Found", *, cap: int) -> tuple[views.Page, int]:
    """The best results with their source, then some in one line each; and how many there are."""
    page, best, shown = views.Page(cap), found.sorted(), 0
    for ranked in best:
        section = _section(sources, ranked)
        target = sources.targets[ranked.at]
        if section is None or not _shows(sources, target, page, section, cap // 4):
            break
        shown += 1
    rows = [f"{one.path} — {one.label} L{one.line}" for one in best[shown:]]
    return page, shown + _one_line_each(page, rows, more=found.count - len(best))


@dataclass(frozen=True, slots=True, order=True)
class _Ranked:
    """A result of a query; the smallest is the best."""

    score: ranking.Score
    path: str
    line: int
    at: int = field(compare=False)
    """The position of its file."""
    span: Span = field(compare=False)
    label: str = field(compare=False)


@dataclass(slots=True)
class _Found:
    """Results of a query so far."""

    count: int = 0
    best: list[_Ranked] = field(default_factory=list)

    def add(self, ranked: _Ranked) -> None:
        """Take a result; keep the best."""
        self.count += 1
        self.best.append(ranked)
        if len(self.best) >= 2 * KEPT_MAX:
            self.best = self.sorted()

    def sorted(self) -> list[_Ranked]:
        """The best, best first."""
        return heapq.nsmallest(KEPT_MAX, self.best)

    def better(self, rank: int) -> int:
        """How many results are better than any of this rank can be."""
        return sum(one.score[0] < min(rank, 6) for one in self.sorted())


def _shows(
    sources: Sources, target: Target, page: views.Page, section: views.Section, reserve: int
) -> bool:
    """Whether a place is on the page now; remembers the one whose source is."""
    shown = views.add_section(page, section, reserve=reserve)
    if shown is views.Shown.SOURCE:
        sources.shown.append((target, section.key, section.content))
    return bool(shown)


def _sections(sources: Sources, path: str) -> Iterator[tuple[Target, views.Section]]:
    needed = lookup.words_of(path)
    for at in sources.each():
        target = sources.targets[at]
        if is_code(target.path) and not is_parsed(target.path):
            continue
        text = sources.text(target)
        if text is None:
            continue
        language = language_of(target.path, text.source)
        if language is None:
            for one in anchors.find(anchors.anchors_of(target.path, text), path):
                header = f"{target.path} — '{one.label}'"
                yield target, views.Section(header, text, one.span, key=one.label)
        elif holds_each(text.source, needed):
            outline = sources.outline(target, text, language, words=needed)
            for match in lookup.find(outline, path):
                header = f"{target.path} — '{match.path}'"
                yield target, views.Section(header, text, match.span, match.symbol, match.path)


def _by_rank(sources: Sources, query: str) -> dict[int, list[int]]:
    """The positions of files that are parsed, by the best rank a symbol in them can have."""
    hint, groups = ranking.hint(query), {rank: list[int]() for rank in ranking.RANKS}
    for at in sources.each():
        target = sources.targets[at]
        text = sources.text(target) if is_parsed(target.path) else None
        if text is not None:
            groups[hint.best(text.source)].append(at)
            language_of(target.path, text.source)  # is there before this process is copied
    return groups


def _rank(sources: Sources, files: list[int], query: str, found: _Found) -> None:
    """Take the symbols of some files that fit; until the time is over."""

    def work(own: Sources, part: range) -> Said:
        best = _Found()
        for at in own.each(part):
            for one in _ranked(own, files[at], query):
                best.add(one)
        kept = [
            [one.score, one.path, one.line, one.at, one.span.start, one.span.end, one.label]
            for one in best.sorted()
        ]
        return [best.count, kept]

    for count, kept in sources.shared(range(len(files)), work):
        for score, path, line, at, start, end, label in kept:
            found.add(_Ranked(tuple(score), path, line, at, Span(start, end), label))
        found.count += count - len(kept)


def _ranked(sources: Sources, at: int, query: str) -> Iterator[_Ranked]:
    """The symbols of a file that fit."""
    target = sources.targets[at]
    text = sources.text(target)
    language = language_of(target.path, text.source) if text is not None else None
    if text is not None and language is not None:
        for symbol in sources.outline(target, text, language):
            score = ranking.score(query, symbol)
            if score is not None:
                line = text.first_line(symbol.full)
                yield _Ranked(score, target.path, line, at, symbol.full, symbol.described)


def _section(sources: Sources, ranked: _Ranked) -> views.Section | None:
    """A result with its source, read again; None when the file has changed since."""
    target = sources.targets[ranked.at]
    text = sources.text(target)
    language = language_of(target.path, text.source) if text is not None else None
    if language is None or text is None:
        return None
    for symbol in sources.outline(target, text, language):
        if symbol.full == ranked.span:
            header = f"{ranked.path} — {ranked.label}"
            return views.Section(header, text, ranked.span, symbol, symbol.address)
    return None


def _one_line_each(page: views.Page, rows: list[str], *, more: int) -> int:
    """Add rows while they fit, then how many are left out; returns how many were added."""
    added = len(rows)
    for at, row in enumerate(rows):
        if not page.fits(row, reserve=views.NOTE_CHARS // 2):
            added, more = at, more + len(rows) - at
            break
        page.note(views.clean_name(row))
    if more > 0:
        page.note(f"[{more} more, not shown; narrow file_path or be more exact]")
    return added


def _not_found(sources: Sources, word: str, asked: str) -> Refusal:
    sources.require_text(f"{word} {asked!r}", word)
    near = lookup.nearest(asked, _names(sources))
    hint = f"Nearest: {'; '.join(near)}" if near else _no_symbols(sources.resolved)
    where = "" if sources.resolved.is_single else f" in {len(sources.targets)} file(s)"
    message = f"{word} {asked!r} was not found{where}. {sources.stopped}".rstrip()
    return Refusal(Code.SYMBOL_NOT_FOUND, views.clean(message), hint=views.clean(hint))


def _names(sources: Sources) -> Iterator[tuple[str, str]]:
    """Names with where they are, of the first files; anchors of a single file that is not code."""
    for number, (target, text, language) in enumerate(sources.parsed(), start=1):
        for symbol in sources.outline(target, text, language):
            where = f"{views.place(text, symbol.full)} of {target.path}"
            yield symbol.name, f"{symbol.described} ({where})"
        if number == NEAREST_FILES_MAX:
            return
    if sources.resolved.is_single and not is_code(sources.targets[0].path):
        target = sources.targets[0]
        content = sources.text(target)
        if content is None:
            return
        for anchor in anchors.anchors_of(target.path, content):
            yield anchor.target, f"{anchor.label} ({views.place(content, anchor.span)})"


def _no_symbols(resolved: Resolved) -> str:
    if resolved.is_single and not is_parsed(resolved.targets[0].path):
        return 'Read the file without "symbol" for its anchors, or search it with "pattern".'
    return 'Read the file without "symbol" for its outline, or search its text with "pattern".'
