"""Whether new content may be written: it must hold no error that was not there before.

The grammar of the language looks first. It accepts much that is broken (more than half of broken
Python), so Python is also compiled by the interpreter, which runs nothing. A file that had errors
before may be edited as long as no new one comes and none lies in the new text.
"""

import threading
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tree_sitter import Node, Tree

from humfs.core.text import Span, Text
from humfs.errors import Code, Refusal

ERRORS_MAX = 1_000
"""Errors compared; a file with more is taken to have these."""
LINE_CHARS_MAX = 200

_COMPILING = threading.Lock()
"""Filters of warnings are global."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One error in source."""

    span: Span
    message: str
    line: int = 0
    """Given by a compiler; 0 when only the span is known."""
    column: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """A span of the old source that became a span of the new one."""

    old: Span
    new: Span

    def moved(self, fault: Fault) -> Span | None:
        """Where a fault outside the changed span is now; None for one that touches it."""
        if fault.span.end <= self.old.start and fault.span.start < self.old.start:
            return fault.span
        if fault.span.start >= self.old.end:
            by = self.new.end - self.old.end
            return Span(fault.span.start + by, fault.span.end + by)
        return None


def faults(trees: Iterable[Tree]) -> list[Fault]:
    """What a parser could not make sense of, in file order."""
    found = []
    for node in _erroneous(trees):
        message = f"{node.type} is missing" if node.is_missing else "this makes no sense here"
        found.append(Fault(Span(node.start_byte, node.end_byte), message))
        if len(found) == ERRORS_MAX:
            break
    return sorted(found, key=lambda fault: fault.span.start)


def _erroneous(trees: Iterable[Tree]) -> Iterator[Node]:
    waiting = [tree.root_node for tree in trees]
    while waiting:
        node = waiting.pop()
        if node.is_error or node.is_missing:
            yield node
        elif node.has_error:
            waiting.extend(node.children)


def new_faults(old: list[Fault], new: list[Fault], change: Change) -> list[Fault]:
    """The faults in new source that were not in the old one."""
    known = {moved.start for fault in old if (moved := change.moved(fault)) is not None}
    around = {
        fault.span.start
        for fault in old
        if fault.span.start < change.old.start and fault.span.end >= change.old.end
    }
    return [
        fault
        for fault in new
        if not (
            (fault.span.start in known and not _touches(fault.span, change.new))
            or (fault.span.start in around and fault.span.end >= change.new.end)
        )
    ]


def _touches(span: Span, region: Span) -> bool:
    return span.start < region.end and span.end > region.start


def compiled(source: bytes, flags: int = 0) -> Fault | None:
    """What the Python compiler says of a module, or None; nothing is run.

    `flags` are those of the features that it takes as imported from `__future__`.
    """
    try:
        with _COMPILING, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(source, "<edit>", "exec", flags, dont_inherit=True)
    except SyntaxError as error:
        line, column = error.lineno or 1, error.offset or 1
        return Fault(Span(0, 0), error.msg, line=line, column=max(1, column))
    except (ValueError, MemoryError, RecursionError, OverflowError) as error:
        return Fault(Span(0, 0), str(error) or type(error).__name__, line=1, column=1)
    return None


def refusal(fault: Fault, text: Text, path: str, *, hint: str = "", by: str = "") -> Refusal:
    """The refusal for a fault in the would-be content of a file."""
    line = fault.line or text.line_of(fault.span.start)
    line = min(line, max(1, text.lines))
    column = fault.column
    if not column:
        column = len(text.text(Span(text.line_span(line).start, fault.span.start))) + 1
    shown = text.line(line)[:LINE_CHARS_MAX] if text.lines else ""
    said = f" ({by})" if by else ""
    return Refusal(
        Code.SYNTAX,
        f"The result would have a syntax error{said}; {path} was NOT written.\n"
        f"line {line}, column {column}: {fault.message}\n{line:>6}\t{shown}",
        hint=hint,
    )
