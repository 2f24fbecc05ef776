"""The top-level blocks of a component file, found as its compiler finds them: by their tags.

A block goes up to its closing tag; only a template in HTML may hold further tags of its own name.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from humfs.core.text import Span

_TAG = re.compile(
    rb"<!--.*?(?:-->|\Z)|<([A-Za-z][\w.-]*)((?:\"[^\"]*\"|'[^']*'|[^>\"'])*?)(/?)>", re.DOTALL
)
_TEMPLATE = re.compile(
    rb"<!--.*?-->|(</template\s*>)|<template(?=[\s/>])(?:\"[^\"]*\"|'[^']*'|[^>\"'])*?(/?)>",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(rb"([^\s=/>\"']+)(?:\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+)))?")
_MUSTACHE = re.compile(rb"\{\{.*?\}\}", re.DOTALL)
_COMPONENT = re.compile(rb"(</?)([A-Za-z][\w.-]*)")
_NO_LINE_END = re.compile(rb"[^\r\n]")


@dataclass(frozen=True, slots=True)
class Section:
    """One top-level block."""

    tag: str
    attributes: dict[str, str]
    span: Span
    """With its tags."""
    content: Span

    @property
    def language(self) -> str:
        """Its `lang`; empty when it has the usual one."""
        return self.attributes.get("lang", "")


def sections(source: bytes) -> Iterator[Section]:
    """The blocks in file order; one that is never closed goes on to the end of the file."""
    at = 0
    while (tag := _TAG.search(source, at)) is not None:
        at = tag.end()
        if tag[1] is None:
            continue
        attributes = _attributes(tag[2])
        is_html = tag[1] == b"template" and attributes.get("lang", "html") == "html"
        end = at if tag[3] else _content_end(source, at, tag[1], is_html=is_html)
        closing = re.compile(rb"</[^>]*>").match(source, end)
        content, at = Span(at, end), closing.end() if closing else end
        name = tag[1].decode("ascii", "replace")
        yield Section(name, attributes, Span(tag.start(), at), content)


def maskable(source: bytes, content: Span) -> bytes:
    """`source` of equal length, with what an HTML parser would take for tags out of the way.

    Text between double braces may hold `<`, and a component may be called like an element that
    closes itself (`Link`).
    """
    inner = source[content.start : content.end]
    inner = _MUSTACHE.sub(lambda text: _NO_LINE_END.sub(b"x", text[0]), inner)
    inner = _COMPONENT.sub(_as_custom, inner)
    return source[: content.start] + inner + source[content.end :]


def _as_custom(tag: re.Match[bytes]) -> bytes:
    return tag[0] if tag[2].islower() else tag[1] + b"x" + tag[2][1:].lower()


def _attributes(text: bytes) -> dict[str, str]:
    found = {}
    for one in _ATTRIBUTE.finditer(text):
        value = next((part for part in one.groups()[1:] if part is not None), b"")
        found[one[1].decode("utf-8", "replace")] = value.decode("utf-8", "replace")
    return found


def _content_end(source: bytes, start: int, tag: bytes, *, is_html: bool) -> int:
    if not is_html:
        closing = re.compile(rb"</" + re.escape(tag) + rb"\s*>", re.IGNORECASE)
        found = closing.search(source, start)
        return found.start() if found else len(source)
    depth = 1
    for inner in _TEMPLATE.finditer(source, start):
        if inner[1] is not None:
            depth -= 1
        elif not inner[0].startswith(b"<!--") and not inner[2]:
            depth += 1
        if depth == 0:
            return inner.start()
    return len(source)
