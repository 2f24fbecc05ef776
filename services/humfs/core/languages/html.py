"""HTML: elements, named by their tag and, when they have a literal id, `tag#id`."""

import tree_sitter_html
from tree_sitter import Language as Grammar
from tree_sitter import Node

from humfs.core.languages.language import TreeLanguage
from humfs.core.languages.walk import Table, Walk
from humfs.core.syntax import Blocks, Syntax, types
from humfs.core.text import Span

_TAGS = types("start_tag self_closing_tag")


def _element(walk: Walk, node: Node) -> None:
    tag = next((one for one in node.named_children if one.type in _TAGS), None)
    names = [one for one in tag.named_children if one.type == "tag_name"] if tag is not None else []
    if tag is None or not names:
        walk.enter(node)
        return
    label = literal_id(walk, tag)
    name = f"{walk.text(names[0])}#{label}" if label else walk.text(names[0])
    # An element without an end tag goes on to where the next thing begins.
    inner = [one for one in node.named_children if one.type not in walk.syntax.comments]
    span = Span(node.start_byte, inner[-1].end_byte)
    walk.members(walk.add("element", name, node, span=span), node)


def literal_id(walk: Walk, tag: Node) -> str:
    """The id of an element as a name; empty when it has none, or one that is a number or a text."""
    for attribute in tag.named_children:
        parts = attribute.named_children
        if attribute.type == "attribute" and walk.text(parts[0]).lower() == "id":
            value = walk.text(parts[-1]).strip("\"'") if len(parts) > 1 else ""
            return "" if value.isdigit() or len(value.split()) != 1 else value
    return ""


SYNTAX = Syntax(name="html", blocks=Blocks.BRACES, is_markup=True)
LANGUAGE = TreeLanguage(
    SYNTAX,
    Table(
        rules=dict.fromkeys(types("element script_element style_element"), _element),
        inside=types("ERROR"),
    ),
    Grammar(tree_sitter_html.language()),
)
