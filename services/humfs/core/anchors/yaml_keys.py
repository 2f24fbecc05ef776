"""YAML: keys of block mappings, two levels deep, by indentation.

Keys of later documents repeat, and get `#N`.
"""

import re

from humfs.core.anchors.anchor import Anchor, last_lines, lines_span
from humfs.core.text import Text

_KEY = re.compile(
    r"""( *)("[^"]*"|'[^']*'|[^\s#\-?:,\[\]{}&*!|>'"%@`](?:[^:#]|:(?! |$)|(?<! )#)*?) *:(?: .*)?"""
)
_BLOCK_TEXT = re.compile(r": *[|>][-+0-9]*(?: +#.*)?$")
_DOCUMENT = re.compile(r"(?:---|\.\.\.)(?:\s.*)?")


def anchors(text: Text) -> list[Anchor]:
    """The keys, in file order."""
    keys = _keys(text)
    found = []
    ends = last_lines([key[:2] for key in keys], lines=text.lines)
    for (line, depth, path), end in zip(keys, ends, strict=True):
        span = lines_span(text, line, end)
        if path:
            is_block = text.last_line(span) > line
            found.append(Anchor(target=path, span=span, depth=depth, is_block=is_block))
    return found


def _keys(text: Text) -> list[tuple[int, int, str]]:
    """Line, level and path of each key; a document mark is a key without a path."""
    found: list[tuple[int, int, str]] = []
    top, indent = "", 0
    for line in range(1, text.lines + 1):
        content = text.line(line)
        key = _KEY.fullmatch(content)
        if _DOCUMENT.fullmatch(content):
            found.append((line, 0, ""))
            top, indent = "", 0
        elif key is not None and not key[1]:
            top = key[2].strip("\"'")
            indent = -1 if _BLOCK_TEXT.search(content) else 0
            found.append((line, 0, top))
        elif key is not None and top and len(key[1]) == (indent or len(key[1])):
            indent = len(key[1])
            found.append((line, 1, f"{top}.{key[2].strip(chr(34) + chr(39))}"))
        elif content.strip() and top and not indent:
            indent = -1
    return found
