"""Lines by their numbers, `L120-L160`: a file is read up to the last of them, whatever its size."""

import re
from collections.abc import Iterator

from humfs.core import views
from humfs.core.patterns import LINE_CHARS_MAX
from humfs.core.text import UTF8_MARK, is_binary, is_utf16
from humfs.edge import files
from humfs.edge.roots import refused_by_system
from humfs.edge.walks import Target
from humfs.errors import Code, Refusal
from humfs.tools.sources import Sources
from thrum.tones import Body

_LINES = re.compile(r"L([1-9][0-9]{0,11})-L([1-9][0-9]{0,11})")


def lines_of(asked: str) -> tuple[int, int] | None:
    """First and last line when that is what a `symbol` asks for; else None."""
    found = _LINES.fullmatch(asked)
    if found is None:
        return None
    first, last = int(found[1]), int(found[2])
    return (first, last) if first <= last else None


def show_lines(sources: Sources, first: int, last: int, *, cap: int) -> tuple[views.Page, Body]:
    """Show some lines of each file; raises `Refusal` when none has so many."""
    page, hits = views.Page(cap), 0
    for at in sources.each():
        target, shown = sources.targets[at], 0
        for number, line in _lines(sources, target, first, last):
            row = f"{number:>6}\t{views.cut_line(views.clean(line), LINE_CHARS_MAX)}"
            head = "" if shown else f"=== {views.clean_name(target.path)} — from L{first} ===\n"
            if not page.fits(head + row, reserve=views.NOTE_CHARS):
                page.note(f'[stopped before line {number}: ask for "L{number}-L{last}"]')
                hits += 1
                break
            page.add(head + row)
            shown += 1
        hits += shown > 0
    if not hits:
        raise _no_such_lines(sources, first)
    return sources.end(page, hits)


def _lines(sources: Sources, target: Target, first: int, last: int) -> Iterator[tuple[int, str]]:
    """The lines of one file with their numbers."""
    try:
        head = sources.reader.head(target.place)
        if is_utf16(head):
            text = sources.decoded(target)
            yield from ((at, text.line(at)) for at in range(first, min(last, text.lines) + 1))
            return
        if is_binary(head):
            sources.skipped.add(target.path)
            return
        yield from _numbered(sources, target, first, last)
    except OSError as trouble:
        if sources.resolved.is_single:
            raise refused_by_system(target.path, trouble) from trouble
        sources.skipped.add(target.path)


def _numbered(sources: Sources, target: Target, first: int, last: int) -> Iterator[tuple[int, str]]:
    with sources.roots.open_place(target.place) as opened:
        for line, content in files.line_pieces(opened):
            if line > last or sources.is_out_of_time(target):
                return
            if line + content.count(b"\n") < first:
                continue
            kept = content.removeprefix(UTF8_MARK) if line == 1 else content
            for number, one in enumerate(kept.removesuffix(b"\n").split(b"\n"), start=line):
                if first <= number <= last:
                    yield number, one.removesuffix(b"\r").decode("utf-8", "replace")


def _no_such_lines(sources: Sources, first: int) -> Refusal:
    sources.require_text(f"line {first}", "symbol")
    where = "" if sources.resolved.is_single else f" in {len(sources.targets)} file(s)"
    return Refusal(
        Code.SYMBOL_NOT_FOUND,
        f"line {first} was not found{where}. {sources.stopped}".rstrip(),
        hint='Read the file without "symbol": the answer says how many lines it has.',
    )
