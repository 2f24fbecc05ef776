"""Searches by name: `symbol` shows every place of a path, `query` the symbols that fit best."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

from humfs.core import anchors, lookup, ranking, views
from humfs.core.languages import is_code, is_parsed, language_of
from humfs.core.text import Span
from humfs.edge.targets import Resolved
from humfs.edge.walks import Target
from humfs.errors import Code, Refusal
from humfs.tools.sources import Sources
from thrum.tones import Body

KEPT_MAX = 500
"""Best results that are kept; later ones are only counted."""
NEAREST_FILES_MAX = 200
"""Files looked into for similar names when nothing is found."""


def show_symbol(sources: Sources, path: str, *, cap: int) -> tuple[views.Page, Body]:
    """Show every place a symbol path or anchor means; raises `Refusal` when there is none."""
    page, hits, shown, titles = views.Page(cap), 0, 0, list[str]()
    for section in _sections(sources, path):
        hits += 1
        if not titles and views.add_section(page, section, reserve=views.NOTE_CHARS):
            shown += 1
        elif len(titles) < KEPT_MAX:
            titles.append(section.title)
    if not hits:
        raise _not_found(sources, "symbol", path)
    _one_line_each(page, titles, more=hits - shown - len(titles))
    return sources.end(page, hits)


def show_query(sources: Sources, query: str, *, cap: int) -> tuple[views.Page, Body]:
    """Show the symbols that fit a query, best first; raises `Refusal` when none does."""
    count, best = 0, list[_Ranked]()
    for ranked in _ranked(sources, query):
        count += 1
        best.append(ranked)
        if len(best) >= 2 * KEPT_MAX:
            best = heapq.nsmallest(KEPT_MAX, best)
    if not count:
        raise _not_found(sources, "query", query)
    page, best, shown = views.Page(cap), heapq.nsmallest(KEPT_MAX, best), 0
    for ranked in best:
        section = _section(sources, ranked)
        if section is None or not views.add_section(page, section, reserve=cap // 4):
            break
        shown += 1
    rows = [f"{one.path} — {one.label} L{one.line}" for one in best[shown:]]
    _one_line_each(page, rows, more=count - len(best))
    return sources.end(page, count)


@dataclass(frozen=True, slots=True, order=True)
class _Ranked:
    """A result of a query; the smallest is the best."""

    score: ranking.Score
    path: str
    line: int
    target: Target = field(compare=False)
    span: Span = field(compare=False)
    label: str = field(compare=False)


def _sections(sources: Sources, path: str) -> Iterator[views.Section]:
    needed = lookup.name_bytes(path)
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
                yield views.Section(f"{target.path} — '{one.label}'", text, one.span)
        elif needed is None or needed in text.source:
            outline = sources.outline(target, text, language)
            for match in lookup.find(outline, path):
                header = f"{target.path} — '{match.path}'"
                yield views.Section(header, text, match.span, match.symbol)


def _ranked(sources: Sources, query: str) -> Iterator[_Ranked]:
    """The symbols that fit; files that hold the query as text come first, with the better ranks.

    So a search that runs out of time has still seen what matters.
    """
    needle = query.lower().encode()
    for holds in (True, False):
        for target, text, language in sources.parsed():
            if (needle in text.source.lower()) is not holds:
                continue
            for symbol in sources.outline(target, text, language):
                score = ranking.score(query, symbol)
                if score is not None:
                    line, label = text.first_line(symbol.full), symbol.described
                    yield _Ranked(score, target.path, line, target, symbol.full, label)


def _section(sources: Sources, ranked: _Ranked) -> views.Section | None:
    """A result with its source, read again; None when the file has changed since."""
    text = sources.text(ranked.target)
    language = language_of(ranked.target.path, text.source) if text is not None else None
    if language is None or text is None:
        return None
    for symbol in sources.outline(ranked.target, text, language):
        if symbol.full == ranked.span:
            return views.Section(f"{ranked.path} — {ranked.label}", text, ranked.span, symbol)
    return None


def _one_line_each(page: views.Page, rows: list[str], *, more: int) -> None:
    for at, row in enumerate(rows):
        if not page.fits(row, reserve=views.NOTE_CHARS // 2):
            more += len(rows) - at
            break
        page.note(views.clean_name(row))
    if more > 0:
        page.note(f"[{more} more, not shown; narrow file_path or be more exact]")


def _not_found(sources: Sources, word: str, asked: str) -> Refusal:
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
        return 'This file has no symbols; read it without "symbol", or search it with "pattern".'
    return 'Read the file without "symbol" for its outline, or search its text with "pattern".'
