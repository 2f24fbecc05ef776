"""Whether a changed Python module still compiles, told from the statements that changed.

A module is compiled statement by statement, and compiling a long one takes longer than all the rest
of an edit. So the top-level statements that a change touches are compiled alone, when nothing in
them can depend on the others, nor the others on them:

- The statements around them are the same ones as before, at the same places, in both trees.
- What is compiled begins and ends where lines of the module do, outside of any statement.
- `from __future__ import annotations` before them holds for them; any other mention of `__future__`
  is not judged here: such an import has to come first.
- No `global` is a statement of the module itself: it must not come after a use of its name.
- A coding line names nothing but UTF-8; no form feed and no lone CR moves a column or a line.

Everything else that the compiler refuses lies within one top-level statement.
"""

import __future__

import re
from dataclasses import dataclass

from tree_sitter import Node

from humfs.core.edits import gate
from humfs.core.edits.draft import CodeFile, Draft
from humfs.core.edits.lines import line_start, next_line
from humfs.core.text import Span

_CODING = re.compile(rb"coding[:=]")
_UTF8 = re.compile(rb"coding[:=][ \t]*utf-?8(?![-\w.])", re.IGNORECASE)
_LONE_CR = re.compile(rb"\r(?!\n)")
_FUTURE = b"__future__"
_ANNOTATIONS = b"from __future__ import annotations"
_SCOPES = frozenset({"function_definition", "class_definition", "decorated_definition"})
"""Statements of a module that are scopes of their own."""
_NO_CODING = b"\n\n"
"""In front of statements, so that a comment of theirs is no coding line."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What changed of a module: lines of the new source, and the statements before them."""

    span: Span
    before: list[Node]


def compiles(file: CodeFile, draft: Draft) -> bool:
    """True when the new module compiles, or the old one did not. False says nothing at all."""
    if len(file.outline.trees) != 1 or len(draft.outline.trees) != 1:
        return False
    old, new = file.outline.trees[0].root_node, draft.outline.trees[0].root_node
    if old.has_error or new.has_error:
        return False
    nodes = new.children
    part = _part(old.children, nodes, file, draft)
    if part is None or not _stands_alone(nodes, part, file, draft):
        return False
    flags = _flags(part, draft.source)
    if flags is None:
        return False
    text = draft.source[part.span.start : part.span.end]
    return gate.compiled(_NO_CODING + text, flags) is None


def _part(old: list[Node], new: list[Node], file: CodeFile, draft: Draft) -> _Part | None:
    """The lines from the first to the last statement that is not in both modules."""
    change, source = draft.change, draft.source
    first = line_start(source, change.new.start)
    head = 0
    for one, other in zip(old, new, strict=False):
        if other.end_byte >= first or not _is_same(one, other, moved=0):
            break
        head += 1
    moved = change.new.end - change.old.end
    least = next_line(source, change.new.end)
    tail = 0
    for one, other in zip(reversed(old[head:]), reversed(new[head:]), strict=False):
        if other.start_byte < least or not _is_same(one, other, moved=moved):
            break
        tail += 1
    start, end = 0, len(source)
    if head:
        behind = new[head - 1].end_byte
        start = next_line(source, behind)
        if b"\\" in source[behind:start]:
            return None  # the line goes on
    if tail:
        end = new[len(new) - tail].start_byte
    is_whole = start <= first and least <= end and (not tail or line_start(source, end) == end)
    for nodes in (old, new):  # no statement begins on the last line of the one before
        is_whole = is_whole and (len(nodes) == head or nodes[head].start_byte >= start)
    return _Part(Span(start, end), new[:head]) if is_whole else None


def _is_same(one: Node, other: Node, *, moved: int) -> bool:
    return (
        one.kind_id == other.kind_id
        and one.start_byte + moved == other.start_byte
        and one.end_byte + moved == other.end_byte
    )


def _stands_alone(nodes: list[Node], part: _Part, file: CodeFile, draft: Draft) -> bool:
    source, span = draft.source, part.span
    text = source[span.start : span.end]
    if 2 * len(text) > len(source) or b"\f" in text or _LONE_CR.search(text):
        return False
    old = file.source[span.start : len(file.source) - (len(source) - span.end)]
    if _FUTURE in old or source.find(_FUTURE, span.start) >= 0:
        return False
    head = source[: next_line(source, next_line(source, 0))]
    if _CODING.search(head) and not _UTF8.search(head):
        return False
    if b"global" not in source:
        return True
    return not any(
        source.find(b"global", node.start_byte, node.end_byte) >= 0
        for node in nodes
        if node.type not in _SCOPES
    )


def _flags(part: _Part, source: bytes) -> int | None:
    """What is imported from `__future__` before some statements; None when that is not clear."""
    mentioned = source.count(_FUTURE, 0, part.span.start)
    if not mentioned:
        return 0
    for node in part.before:
        if node.type == "future_import_statement" and mentioned == 1:
            is_clear = source[node.start_byte : node.end_byte] == _ANNOTATIONS
            return __future__.annotations.compiler_flag if is_clear else None
    return None
