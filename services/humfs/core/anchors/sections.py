"""TOML, INI and env: sections and keys, read line by line; a TOML value may run over several."""

import re
from collections.abc import Iterator

from humfs.core.anchors.anchor import Anchor, last_lines, lines_span
from humfs.core.text import Span, Text

VALUE_LINES_MAX = 200
"""A value over more lines is taken to end on its first."""

_SECTION = re.compile(r"\s*(\[\[?)\s*(.*?)\s*(\]\]?)\s*(?:[#;].*)?")
_TOML_KEY = re.compile(
    r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*="""
)
_INI_KEY = re.compile(r"([^\s#;=:\[][^=:]*?)\s*[=:]")
_ENV_KEY = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*=\s*")
_ENV_QUOTED = re.compile(
    r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|`[^`]*`)(?=[ \t]*(?:#[^\n]*)?\n)""", re.DOTALL
)
_QUOTES = re.compile("[\"']")
# What brackets are not counted in; the group is a text over several lines that is still open.
_TOML_SKIPPED = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"""'
    r"|'''(?:[^']|'(?!''))*'''"
    r"""|(\"{3}|'{3})|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|#[^\n]*""",
    re.DOTALL,
)


def toml(text: Text) -> list[Anchor]:
    """Sections and `section.key`."""
    return list(_sections(text, _TOML_KEY, brackets=2))


def ini(text: Text) -> list[Anchor]:
    """Sections and `section.key`, with `=` or `:`."""
    return list(_sections(text, _INI_KEY, brackets=1))


def env(text: Text) -> list[Anchor]:
    """The names."""
    found, line = [], 1
    while line <= text.lines:
        key, end = _ENV_KEY.match(text.line(line)), line
        if key is not None:
            end = _quoted_end(text, line, key.end())
            span = Span(text.line_span(line).start, text.line_span(end).end)
            found.append(Anchor(target=key[1], span=span, depth=0, is_block=False))
        line = end + 1
    return found


def _sections(text: Text, key_line: re.Pattern[str], *, brackets: int) -> Iterator[Anchor]:
    headers = _headers(text, brackets=brackets)
    ends = last_lines([(line, 0) for line, _, _ in headers], lines=text.lines)
    first = headers[0][0] if headers else text.lines + 1
    yield from _keys(text, key_line, section="", lines=(1, first - 1))
    for (line, target, name), end in zip(headers, ends, strict=True):
        span = lines_span(text, line, end)
        yield Anchor(target=target, name=name, span=span, depth=0, is_block=True)
        yield from _keys(text, key_line, section=name, lines=(line + 1, end))


def _headers(text: Text, *, brackets: int) -> list[tuple[int, str, str]]:
    """Line, header as written, name; lines inside a value are none."""
    found, line = [], 1
    while line <= text.lines:
        header = _SECTION.fullmatch(text.line(line))
        if header and len(header[1]) == len(header[3]) <= brackets:
            found.append((line, f"{header[1]}{header[2]}{header[3]}", header[2]))
        line = _value_end(text, line) + 1 if brackets == 2 and not header else line + 1
    return found


def _keys(
    text: Text, key_line: re.Pattern[str], *, section: str, lines: tuple[int, int]
) -> Iterator[Anchor]:
    line, last = lines
    while line <= last:
        key = key_line.match(text.line(line))
        end = line
        if key is not None:
            end = _value_end(text, line) if key_line is _TOML_KEY else _entry_end(text, line)
            target = f"{section}.{key[1]}" if section else key[1]
            name = _QUOTES.sub("", target) if key_line is _TOML_KEY else ""
            span = Span(text.line_span(line).start, text.line_span(end).end)
            depth = int(bool(section))
            yield Anchor(target=target, name=name, span=span, depth=depth, is_block=False)
        line = end + 1


def _entry_end(text: Text, line: int) -> int:
    """The last line of the INI entry that begins on `line`.

    Lines that are indented and no entries, or that follow a backslash, go on with it.
    """
    while line < text.lines:
        below = text.line(line + 1)
        content = below.lstrip(" \t")
        is_deeper = below != content and not _INI_KEY.match(content)
        if content[:1] in ("", "#", ";", "!"):
            break
        if not is_deeper and not text.line(line).endswith("\\"):
            break
        line += 1
    return line


def _quoted_end(text: Text, line: int, column: int) -> int:
    """The last line of the environment value that begins at a column; its quotes may be later."""
    content = text.line(line)[column:]
    if content[:1] not in ('"', "'", "`") or _ENV_QUOTED.match(content + "\n"):
        return line
    value = content + "\n"
    for end in range(line + 1, min(text.lines, line + VALUE_LINES_MAX) + 1):
        value += text.line(end) + "\n"
        if content[:1] in text.line(end) and _ENV_QUOTED.match(value):
            return end
    return line


def _value_end(text: Text, line: int) -> int:
    """The last line of the TOML entry that begins on `line`; itself when it never closes."""
    if _TOML_KEY.match(text.line(line)) is None:
        return line
    entry = ""
    for end in range(line, min(text.lines, line + VALUE_LINES_MAX) + 1):
        entry += text.line(end) + "\n"
        rest = _TOML_SKIPPED.sub(lambda skipped: "[" if skipped[1] else "", entry)
        if rest.count("[") + rest.count("{") <= rest.count("]") + rest.count("}"):
            return end
    return line
