"""Macros of C and C++ that a grammar without a preprocessor cannot read.

Each stands where the grammar has no place for a word, and the declaration around it is lost to the
parse: an export macro between `class` and its name, a macro that is a statement of its own without
a semicolon. They are blanked out for the parser, byte for byte, so every span stays what it is.
"""

import re

_EXPORT = re.compile(
    rb"\b(?:class|struct|union|enum(?:\s+class)?)\s+"
    rb"((?:[A-Z][A-Z0-9_]*[A-Z0-9](?:\([^()\n]*\))?\s+|__declspec\((?:[^()\n]|\([^()\n]*\))*\)\s*)+)"
    rb"(?=[A-Za-z_]\w*(?:<[^;{}]*>)?\s*(?:final\s*)?(?::[^:]|\{(?![^\n{}]*\}\s*;)))"
)
_STATEMENT = re.compile(
    rb"(?:\A|[;{}:>]|\*/|^[ \t]*(?://|\#)(?:[^\n]*[^\\\s])?)[ \t\r]*\n\s*"
    rb"([A-Z][A-Z0-9_]{2,}\((?:[^(){};\n]|\([^(){};\n]*\))*\))[ \t\r]*(?=\n\s*[\w}~\[/#])",
    re.MULTILINE,
)
_VISIBLE = re.compile(rb"[^\s]")


def blanked(source: bytes) -> bytes:
    """`source` of equal length without such macros; itself when it has none."""
    for pattern in (_EXPORT, _STATEMENT):
        while found := list(pattern.finditer(source)):
            copy = bytearray(source)
            for one in found:
                copy[one.start(1) : one.end(1)] = _VISIBLE.sub(b" ", one[1])
            source = bytes(copy)
    return source
