"""The import block of a file that has none yet, at its usual place (humfs 7.6)."""

import re

from tree_sitter import Node

from humfs.core.edits.code import fitted_in
from humfs.core.edits.draft import CodeFile, Draft, spliced
from humfs.core.edits.fitting import Fitted, Place
from humfs.core.edits.gate import Change
from humfs.core.edits.lines import (
    blank_after,
    count_blank,
    is_blank,
    line_end,
    newline_of,
    with_newlines,
)
from humfs.core.lookup import IMPORTS
from humfs.core.symbols import Symbol
from humfs.core.syntax import Syntax, types
from humfs.core.text import Span

_HEADERS = types(
    "package_clause package_declaration php_tag namespace_definition declare_statement "
    "inner_attribute_item hash_bang_line shebang preproc_call preproc_def"
)
"""What stands before imports, in any language."""
_GUARDS = types("preproc_ifdef preproc_if")
_FILE_LINE = re.compile(rb"#!|#.*?coding[:=]")


def create_imports(file: CodeFile, path: str, new: bytes) -> Draft | None:
    """Put `new` where the import block of a file, or of a part of it, would be.

    None when `path` asks for no import block, or the language has none.
    """
    found = _top(file, path)
    if found is None:
        return None
    top, syntax, start = found
    source, newline = file.source, newline_of(file.source)
    at = _header_end(top, source, start, comments=syntax.comments)

    def splice(fitted: Fitted) -> tuple[bytes, Change, Span]:
        lead, where, tail = _around(source, at, is_part=start > 0, newline=newline)
        text = with_newlines(fitted.text, newline)
        result, change = spliced(source, Span(where, where), lead + text + tail)
        begin = where + len(lead)
        return result, change, Span(begin, begin + len(text))

    return fitted_in(file, syntax, Place(indent=b"", blocks=syntax.blocks), new, splice)


def _top(file: CodeFile, path: str) -> tuple[Node, Syntax, int] | None:
    """The tree an import block goes to, its language, and where it starts."""
    if path == IMPORTS:
        syntax = getattr(file.language, "syntax", None)
        if isinstance(syntax, Syntax):
            return (file.outline.trees[0].root_node, syntax, 0) if syntax.imports else None
    holder = path.removesuffix(f".{IMPORTS}") if path != IMPORTS else "script"
    if holder == path:
        return None
    part = next((one for one in file.outline.symbols if one.path == holder), None)
    return _part(part, file.source) if part is not None and part.kind == "script" else None


def _part(part: Symbol, source: bytes) -> tuple[Node, Syntax, int] | None:
    if not part.syntax.imports:
        return None
    return part.node, part.syntax, source.index(b">", part.full.start) + 1


def _header_end(top: Node, source: bytes, start: int, *, comments: frozenset[str]) -> int:
    """Where the header of a file ends: `start` when it has none."""
    end, waiting = start, list[Node]()
    for node in top.named_children:
        if node.type in comments:
            waiting.append(node)
            if _is_file_line(source, node.start_byte):
                end, waiting = node.end_byte, []
            continue
        if not (node.type in _HEADERS or _is_text(node)):
            break
        end, waiting = node.end_byte, []
    else:
        node = None
    if waiting and (node is None or _is_apart(source, waiting[-1], node)):
        end = waiting[-1].end_byte
    if node is not None and node.type in _GUARDS and end == start:
        return _guard_end(node, source, end)
    return max(start, len(source[:end].rstrip())) if end > start else start


def _is_file_line(source: bytes, start: int) -> bool:
    """Whether a comment on the first two lines is about the file: `#!`, its encoding."""
    return source.count(b"\n", 0, start) < 2 and bool(_FILE_LINE.match(source, start))


def _guard_end(guard: Node, source: bytes, end: int) -> int:
    """Behind the definition that guards a header file, when the file is inside the guard."""
    inner = next((one for one in guard.named_children if one.type == "preproc_def"), None)
    is_whole = is_blank(source[guard.end_byte :])
    return len(source[: inner.end_byte].rstrip()) if inner is not None and is_whole else end


def _is_text(node: Node) -> bool:
    """A documentation string, or `"use strict"`."""
    if node.type != "expression_statement" or node.named_child_count != 1:
        return False
    inner = node.named_child(0)
    return inner is not None and inner.type == "string"


def _is_apart(source: bytes, comment: Node, node: Node) -> bool:
    """Whether a blank line is between a comment and what follows."""
    return source.count(b"\n", comment.end_byte, node.start_byte) > 1


def _around(source: bytes, at: int, *, is_part: bool, newline: bytes) -> tuple[bytes, int, bytes]:
    """What stands before the new block, where it goes, what stands after it."""
    if at == 0:
        rest = source[: line_end(source, 0)]
        return b"", 0, newline if not source or is_blank(rest) else newline * 2
    where = line_end(source, at)
    opens = is_part and source[:at].endswith(b">")
    lead = newline if opens else newline * 2
    has_rest = not is_blank(source[where:])
    blank = count_blank(source, blank_after(source, where))
    return lead, where, newline if has_rest and not blank else b""
