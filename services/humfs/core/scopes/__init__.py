"""Edits of files that are not code: a word, phrase, sentence or paragraph, as byte ranges.

Comments, quotes, order and blank lines outside the place stay as they are. Each format is a class
(`unit.Scopes`) that knows its names and units, and whether a text is well-formed; one that was is
never written otherwise.
"""

from dataclasses import dataclass

from humfs.core.anchors import format_of
from humfs.core.edits.gate import Change
from humfs.core.edits.lines import newline_of, unified, with_newlines
from humfs.core.scopes.env_scopes import EnvScopes
from humfs.core.scopes.json_scopes import JsoncScopes, JsonScopes
from humfs.core.scopes.markdown_scopes import MarkdownScopes
from humfs.core.scopes.matching import exact, numbered, words
from humfs.core.scopes.plain_scopes import PlainScopes
from humfs.core.scopes.section_scopes import IniScopes, TomlScopes
from humfs.core.scopes.unit import Scopes, Unit, verbatim
from humfs.core.scopes.yaml_scopes import YamlScopes
from humfs.core.text import Span, Text
from humfs.errors import Code, Refusal

_FORMATS: dict[str, type[Scopes]] = {
    "json": JsonScopes,
    "jsonc": JsoncScopes,
    "yaml": YamlScopes,
    "toml": TomlScopes,
    "ini": IniScopes,
    "env": EnvScopes,
    "markdown": MarkdownScopes,
}
NAMED_CHARS_MAX = 80


@dataclass(frozen=True, slots=True)
class Found:
    """The place an edit means."""

    unit: Unit
    matches: int
    """How many places the text has; the first one is meant, or the N-th with `#N`."""
    is_numbered: bool
    wanted: str
    """The text without its `#N`."""


@dataclass(frozen=True, slots=True)
class Drafted:
    """What an edit makes of a text."""

    source: bytes
    change: Change
    notes: tuple[str, ...]


def scopes_of(path: str, text: Text) -> Scopes:
    """A text as its format sees it."""
    return _FORMATS.get(format_of(path), PlainScopes)(text)


def find(scopes: Scopes, text: Text, scope: str, wanted: str) -> Found:
    """The place that a scope and a text mean; raises `Refusal` (`not_found`)."""
    units = _units(scopes, text, scope, wanted)
    if units:
        return Found(units[0], len(units), False, wanted)
    asked = numbered(wanted)
    if asked is None:
        raise _not_found(scope, wanted, 0)
    name, number = asked
    units = _units(scopes, text, scope, name)
    if number > len(units):
        raise _not_found(scope, name, len(units))
    return Found(units[number - 1], len(units), True, name)


def draft(path: str, text: Text, found: Found, new: bytes) -> Drafted:
    """Replace a place, or delete it when `new` is empty; raises `Refusal` (`corrupt`)."""
    unit, source, newline = found.unit, text.source, newline_of(text.source)
    if new:
        span, fitted = unit.fit(unified(new))
        pieces = [(span, with_newlines(fitted, newline))]
    else:
        pieces = [(cut, b"") for cut in unit.deleted]
    result, at = b"", 0
    for span, content in pieces:
        result += source[at : span.start] + content
        at = span.end
    end = len(result)
    result += source[at:]
    change = Change(Span(pieces[0][0].start, at), Span(pieces[0][0].start, end))
    return Drafted(result, change, _checked(path, text, result))


def _checked(path: str, text: Text, result: bytes) -> tuple[str, ...]:
    """Raise `Refusal` when a well-formed text would not be so any more; else notes."""
    fault = scopes_of(path, Text(result, text.encoding)).fault()
    if not fault:
        return ()
    if scopes_of(path, text).fault():
        return (unchecked(path),)
    raise corrupt(path, fault)


def unchecked(path: str) -> str:
    """The note to an edit of a file that was broken, and is."""
    return f"the file was not well-formed {format_of(path)} before; it was not checked"


def corrupt(path: str, fault: str) -> Refusal:
    """The refusal of an edit that would leave a file that is not well-formed."""
    return Refusal(
        Code.CORRUPT,
        f"The result would be corrupt {format_of(path)}: {fault}. {path} was NOT modified.",
        hint="Give text that fits the format in its place.",
    )


def _units(scopes: Scopes, text: Text, scope: str, wanted: str) -> list[Unit]:
    """The places a text means in a scope, in file order."""
    if scope == "word":
        return [verbatim(span) for span in words(text.source, wanted)]
    newline = newline_of(text.source)
    spans = exact(text.source, with_newlines(unified(wanted.encode()), newline))
    if scope == "phrase":
        return scopes.phrases(wanted) or [verbatim(span) for span in spans]
    around = scopes.sentence if scope == "sentence" else scopes.paragraph
    units: dict[Span, Unit] = {}
    for span in spans:
        if units and next(reversed(units)).end >= span.end:
            continue
        unit = around(span)
        if unit is not None:
            units.setdefault(unit.span, unit)
    return list(units.values())


def _not_found(scope: str, wanted: str, count: int) -> Refusal:
    shown = wanted if len(wanted) <= NAMED_CHARS_MAX else wanted[:NAMED_CHARS_MAX] + "…"
    are = "is 1 match" if count == 1 else f"are {count} matches"
    there = f"; there {are} of it" if count else ""
    return Refusal(
        Code.NOT_FOUND,
        f"{scope} {shown!r} was not found{there}. Nothing was written.",
        hint="Read the file for its anchors, or search it with humfs_read and pattern.",
    )
