"""Replace, insert and delete in code by symbol, for any language (humfs 8.3 to 8.7).

Each makes a draft from an old file and one place in it (`core.lookup`). What a draft may not be is
decided by `check`.
"""

from collections.abc import Callable

from tree_sitter import Node

from humfs.core.edits import gate, statements
from humfs.core.edits.draft import CodeFile, Draft, spliced
from humfs.core.edits.fitting import (
    Fitted,
    Literal,
    Place,
    fit,
    lines_of,
    literals,
    string_texts,
)
from humfs.core.edits.gate import Change
from humfs.core.edits.lines import (
    indent_before,
    line_start,
    newline_of,
    trimmed,
    unified,
    with_newlines,
)
from humfs.core.lookup import Match
from humfs.core.symbols import Outline
from humfs.core.syntax import Blocks, Syntax
from humfs.core.text import Span, Text
from humfs.errors import Code, Refusal

Splice = Callable[[Fitted], tuple[bytes, Change, Span]]
"""Puts fitted text into its file: new source, change, and where the text is."""

_ORNAMENTS = ("decorator", "annotation", "attribute")
"""Node types that say so in their name stand before a declaration and belong to it."""


def replace(file: CodeFile, match: Match, new: bytes) -> Draft:
    """Put `new` in the place of a symbol, or of a place inside one."""
    source = file.source
    old = trimmed(source, match.span)
    newline = newline_of(source)

    def splice(fitted: Fitted) -> tuple[bytes, Change, Span]:
        result, change = spliced(source, old, with_newlines(fitted.text, newline))
        return result, change, change.new

    place = _place(file, match, old)
    draft = fitted_in(file, match.syntax, place, new, splice)
    if match.symbol is None:
        return draft
    notes = (*draft.notes, *_dropped(file, match, draft), *_renamed(match, draft))
    return Draft(draft.source, draft.outline, draft.change, draft.region, notes)


def fitted_in(
    file: CodeFile, syntax: Syntax | None, place: Place, new: bytes, splice: Splice
) -> Draft:
    """Fit `new` to a place and splice it in; once more when it holds strings over several lines."""
    if not lines_of(new):
        raise Refusal(Code.BAD_ARGS, "new_source is blank.", hint='Use "operation": "delete".')
    fitted = fit(new, place, file.source)
    source, change, region = splice(fitted)
    outline = file.changed(source, change)
    found = _literals(outline, syntax, region, source) if b"\n" in fitted.text else []
    if found:
        again = fit(new, place, file.source, found)
        if again.lines != fitted.lines:
            fitted = again
            source, change, region = splice(fitted)
            outline = file.changed(source, change)
    notes = []
    if fitted.is_moved:
        notes.append("indentation fitted to its place")
    if fitted.is_converted:
        notes.append("tabs and spaces converted to those of the file")
    newline = newline_of(file.source)
    if (b"\r\n" in new) != (newline == b"\r\n") and b"\n" in new:
        notes.append("line ends converted to those of the file")
    return Draft(source, outline, change, region, tuple(notes))


def check(file: CodeFile, draft: Draft, *, declares: bool = False) -> str:
    """Raise `Refusal` for a draft that may not be written; a note about errors from before.

    `declares`: the new text takes the place of a declaration and must hold one.
    """
    if draft.source == file.source:
        raise no_change(file.path)
    before = gate.faults(file.outline.trees)
    after = gate.faults(draft.outline.trees)
    new = gate.new_faults(before, after, draft.change) if before else after
    text = Text(draft.source, file.text.encoding)
    if new:
        raise gate.refusal(new[0], text, file.path)
    if declares and not draft.symbols:
        raise Refusal(
            Code.NOT_A_DECLARATION,
            "new_source holds no declaration, but it would take the place of one; "
            f"{file.path} was NOT written.",
            hint="Give the whole declaration with its header, or replace only its body: "
            '"symbol": "name.body".',
        )
    if file.language.name == "python":
        _check_compiled(file, draft, text)
    if before and after:
        return f"the file had {len(before)} syntax error(s) before; it has {len(after)} now"
    return ""


def no_change(path: str) -> Refusal:
    """The refusal of an edit that would leave the file as it is."""
    return Refusal(Code.NO_CHANGE, f"No change: {path} already has exactly this content.")


def _check_compiled(file: CodeFile, draft: Draft, text: Text) -> None:
    if statements.compiles(file, draft):
        return
    fault = gate.compiled(draft.source)
    if fault is None or gate.compiled(file.source) is not None:
        return
    hint = ""
    if "indented block" in fault.message and draft.region.start == draft.region.end:
        hint = "Replace the whole that holds it, or leave a `pass` in its place."
    raise gate.refusal(fault, text, file.path, hint=hint, by="the Python compiler says")


def _place(file: CodeFile, match: Match, old: Span) -> Place:
    source = file.source
    syntax = match.syntax
    start = line_start(source, old.start)
    roots = [tree.root_node for tree in file.outline.trees]
    return Place(
        indent=indent_before(source, old.start),
        blocks=syntax.blocks if syntax is not None else Blocks.BRACES,
        old=unified(source[start : old.end]),
        strings=string_texts(roots, syntax.strings, old, source) if syntax else frozenset(),
    )


def _literals(
    outline: Outline, syntax: Syntax | None, region: Span, source: bytes
) -> list[Literal]:
    if syntax is None:
        return []
    return literals((tree.root_node for tree in outline.trees), syntax.strings, region, source)


def _dropped(file: CodeFile, match: Match, draft: Draft) -> list[str]:
    """What stood before the old declaration and is not before the new one."""
    assert match.symbol is not None
    declared = draft.symbols
    if not declared:
        return []
    first = declared[0]
    old = _ornaments(file.outline, match.span, match.symbol.node, match.symbol.syntax)
    new = _ornaments(draft.outline, first.full, first.node, first.syntax)
    return [f"{kind} dropped" for kind in sorted(old - new)]


def _ornaments(outline: Outline, full: Span, node: Node, syntax: Syntax) -> set[str]:
    """`comment` and `decorator or attribute`, where they stand before the name in a full span."""
    name = node.child_by_field_name("name")
    end = name.start_byte if name is not None else node.start_byte
    found = set[str]()
    waiting = [tree.root_node for tree in outline.trees]
    while waiting:
        inner = waiting.pop()
        if inner.end_byte <= full.start or inner.start_byte >= end:
            continue
        if inner.type in syntax.comments:
            found.add("comment")
        elif inner.type in syntax.attributes or any(word in inner.type for word in _ORNAMENTS):
            if inner.start_byte >= full.start:
                found.add("decorator or attribute")
        else:
            waiting.extend(inner.children)
    return found


def _renamed(match: Match, draft: Draft) -> list[str]:
    assert match.symbol is not None
    declared = draft.symbols
    if not declared or any(one.name == match.symbol.name for one in declared):
        return []
    return [f"name changed: {match.symbol.name} is now {declared[0].name}"]
