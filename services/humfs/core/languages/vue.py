"""Vue: a component file, composed by offset from HTML, script and style.

Each block is parsed by its own grammar where it stands, so every span is one of the whole file.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tree_sitter import Range, Tree

from humfs.core.languages import css, html, javascript, scss, tsx, typescript
from humfs.core.languages.language import Revision, ShouldStop, TreeLanguage, parse
from humfs.core.languages.sections import Section, maskable, sections
from humfs.core.languages.walk import import_block
from humfs.core.symbols import PART_KINDS, Outline, Symbol
from humfs.core.text import Span

_LANGUAGES: dict[tuple[str, str], TreeLanguage] = {
    ("template", ""): html.LANGUAGE,
    ("template", "html"): html.LANGUAGE,
    ("script", ""): javascript.LANGUAGE,
    ("script", "js"): javascript.LANGUAGE,
    ("script", "jsx"): javascript.LANGUAGE,
    ("script", "ts"): typescript.LANGUAGE,
    ("script", "tsx"): tsx.LANGUAGE,
    ("style", ""): css.LANGUAGE,
    ("style", "css"): css.LANGUAGE,
    ("style", "postcss"): css.LANGUAGE,
    ("style", "scss"): scss.LANGUAGE,
}
"""Tag and `lang` of a block -> what it is parsed as. A block of another kind is only a block."""


@dataclass(frozen=True, slots=True)
class Vue:
    """See `core.languages.language.Language`."""

    name: str = "vue"

    def outline(
        self,
        source: bytes,
        should_stop: ShouldStop = lambda: False,
        *,
        since: Revision | None = None,
        words: Sequence[bytes] = (),
    ) -> Outline:
        """Parse and outline a component file; each time as a whole, its blocks being small."""
        outline = Outline(self.name)
        found = list(sections(source))
        for section in found:
            part, tree = _part(section, source, should_stop, words)
            outline.symbols.append(part)
            outline.trees.append(tree)
        _number(found, outline.symbols)
        outline.number()
        return outline


LANGUAGE = Vue()


def _part(
    section: Section, source: bytes, should_stop: ShouldStop, words: Sequence[bytes]
) -> tuple[Symbol, Tree]:
    language = _LANGUAGES.get((section.tag, section.language))
    inner = language or html.LANGUAGE
    text = maskable(source, section.content) if inner is html.LANGUAGE else source
    content = (
        section.content if language is not None else Span(section.span.start, section.span.start)
    )
    tree = parse(inner.grammar, text, should_stop, [_range(source, content)])
    part = Symbol(
        kind=section.tag if section.tag in PART_KINDS else "element",
        name=section.tag,
        declaration=section.span,
        extend=_whole,
        node=tree.root_node,
        syntax=inner.syntax,
    )
    if language is not None:
        is_meant = any(word in section.tag.encode() for word in words)
        part.children = language.symbols(tree, source, should_stop, () if is_meant else words)
        part.imports = import_block(tree.root_node.named_children, inner.syntax)
    return part, tree


def _whole(declaration: Span) -> Span:
    return declaration


def _range(source: bytes, span: Span) -> Range:
    return Range(_point(source, span.start), _point(source, span.end), span.start, span.end)


def _point(source: bytes, offset: int) -> tuple[int, int]:
    return source.count(b"\n", 0, offset), offset - source.rfind(b"\n", 0, offset) - 1


def _number(found: Sequence[Section], parts: Sequence[Symbol]) -> None:
    """The first of a kind has no number, further ones have; a `setup` script is the first."""
    for kind in PART_KINDS:
        same = [(at, one) for at, one in enumerate(found) if one.tag == kind]
        same.sort(key=lambda one: "setup" not in one[1].attributes)
        for number, (at, _) in enumerate(same[1:], start=2):
            parts[at].number = number
