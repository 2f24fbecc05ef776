"""Where the scopes of configuration and documents are, found without humfs.

JSON by a scanner of its own, YAML by the marks of PyYAML, TOML by what `tomllib` takes, everything
else by lines. Each place says which bytes an edit of it may touch.
"""

import random
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import yaml

TRIES = 12
_SPACE = " \t\r\n"


@dataclass(frozen=True)
class Place:
    """One edit, and the characters of the text that it may touch."""

    scope: str
    wanted: str
    replace: str
    start: int
    end: int


Finder = Callable[[str, random.Random], Iterator[Place]]


def once(text: str, wanted: str) -> bool:
    """Whether a text stands there once, and does not look like one with a number."""
    return text.count(wanted) == 1 and not re.search(r"#\d+$", wanted)


def widened(text: str, start: int, end: int, chars: str = _SPACE) -> tuple[int, int]:
    """A span with the blank lines, and whatever else, around it."""
    while start and text[start - 1] in chars:
        start -= 1
    while end < len(text) and text[end] in chars:
        end += 1
    return start, end


def both(text: str, place: Place, chars: str = _SPACE) -> Iterator[Place]:
    """The edit, and the deletion of the same place, which may take white space along."""
    yield place
    yield Place(place.scope, place.wanted, "", *widened(text, place.start, place.end, chars))


def lines_of(text: str) -> list[tuple[int, int]]:
    """Start and end of each line, its line end included."""
    found, at = [], 0
    for line in text.splitlines(keepends=True) if "\x0b" not in text and "\x0c" not in text else []:
        found.append((at, at + len(line)))
        at += len(line)
    return found


def words(text: str, dice: random.Random) -> Iterator[Place]:
    """Words of any format."""
    tokens = list(re.finditer(r"\w+", text))
    for token in dice.sample(tokens, min(TRIES, len(tokens))):
        word = token[0]
        if len(re.findall(rf"(?<!\w){re.escape(word)}(?!\w)", text)) == 1:
            new = "7" if word.isdigit() else "xyzzy"
            yield Place("word", word, new, token.start(), token.end())
            return


# -- JSON


@dataclass(frozen=True)
class _Member:
    key: str
    start: int
    end: int
    value: tuple[int, int]
    holders: tuple[tuple[int, int], ...]
    """The containers around it, innermost first; the root is the last."""
    held: tuple[tuple[int, int], ...]
    """The member or element that each of those but the root is the value of."""


_JSON_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+)')


def _members(text: str) -> list[_Member]:
    """Every member of every object of a JSON text without comments."""
    tokens = [(one[1], one.start(1), one.end(1)) for one in _JSON_TOKEN.finditer(text)]
    spans, opened = dict[int, int](), list[int]()
    for sign, start, end in tokens:
        if sign in "{[":
            opened.append(start)
        elif sign in "}]":
            spans[opened.pop()] = end
    found: list[_Member] = []
    stack: list[tuple[tuple[int, int], int]] = []
    begun = 0
    for at, (sign, start, _) in enumerate(tokens):
        if sign in "}]":
            stack.pop()
            continue
        is_value = sign not in ",:" and (at == 0 or tokens[at - 1][0] in ":,[{")
        is_key = at + 1 < len(tokens) and tokens[at + 1][0] == ":"
        if at and tokens[at - 1][0] in ",[{":
            begun = start
        if is_key:
            value = tokens[at + 2]
            value_end = spans.get(value[1], value[2]) if value[0] in "{[" else value[2]
            found.append(
                _Member(
                    sign,
                    start,
                    value_end,
                    (value[1], value_end),
                    tuple(span for span, _ in reversed(stack)),
                    tuple((first, span[1]) for span, first in reversed(stack[1:])),
                )
            )
        if is_value and sign in "{[":
            stack.append(((start, spans[start]), begun))
    return found


def json_places(text: str, dice: random.Random) -> Iterator[Place]:
    """Members whose key stands there once."""
    members = [
        one
        for one in _members(text)
        if once(text, one.key) and re.fullmatch(r'"[\w $@/-]+"', one.key)
    ]
    for one in dice.sample(members, min(3, len(members))):
        start, end = one.value
        yield Place("phrase", one.key.strip('"'), '"xyzzy"', start, end)
        gone = widened(text, one.start, one.end, _SPACE + ",")
        yield Place("phrase", one.key.strip('"'), "", *gone)
        yield Place("sentence", one.key, '"xyzzy": 1', one.start, one.end)
        yield Place("sentence", one.key, "", *gone)
        if len(one.holders) > 1:
            block, held = one.holders[0], one.held[0]
            new = '{"xyzzy": 1}'
        elif text[start] in "{[":
            block, held, new = one.value, (one.start, one.end), '{"xyzzy": 1}'
        else:
            block, held, new = (one.start, one.end), (one.start, one.end), '"xyzzy": 1'
        yield Place("paragraph", one.key, new, *block)
        yield Place("paragraph", one.key, "", *widened(text, *held, _SPACE + ","))


# -- YAML


def _yaml_pairs(text: str) -> Iterator[tuple[yaml.Node, yaml.Node, yaml.Node | None]]:
    """Key, value and key of the holding pair of every block mapping that is held by pairs only."""

    def below(
        node: yaml.Node | None, holder: yaml.Node | None
    ) -> Iterator[tuple[yaml.Node, yaml.Node, yaml.Node | None]]:
        if isinstance(node, yaml.MappingNode) and not node.flow_style:
            for key, value in node.value:
                yield key, value, holder
                yield from below(value, key)

    yield from below(yaml.compose(text, Loader=yaml.SafeLoader), None)


def yaml_places(text: str, dice: random.Random) -> Iterator[Place]:
    """Pairs of block mappings whose key stands there once."""
    if re.search(r"[&*!]\w|^(?:---|%|\ufeff)|\t", text, re.MULTILINE):
        return
    pairs = [
        pair
        for pair in _yaml_pairs(text)
        if re.fullmatch(r"[\w-]+", str(pair[0].value))
        and len(re.findall(rf"(?<![\w-]){re.escape(pair[0].value)}(?![\w-])", text)) == 1
    ]
    ends = {key.start_mark.index: value for key, value, _ in _yaml_pairs(text)}
    for key, value, holder in dice.sample(pairs, min(3, len(pairs))):
        start, name = key.start_mark.index, str(key.value)
        line = text.rfind("\n", 0, start) + 1
        indent = text[line:start]
        colon = text.index(":", key.end_mark.index) + 1
        yield from both(text, Place("phrase", name, "xyzzy", colon, _yaml_end(text, value, colon)))
        lines = (line, _closed(text, _yaml_end(text, value, colon)))
        yield from both(text, Place("sentence", f"{name}:", f"{indent}xyzzy: 1", *lines))
        block = lines
        is_block = isinstance(value, yaml.CollectionNode) and not value.flow_style
        if not is_block and holder is not None:
            line = text.rfind("\n", 0, holder.start_mark.index) + 1
            indent = text[line : holder.start_mark.index]
            held = ends[holder.start_mark.index]
            block = (line, _closed(text, _yaml_end(text, held, line)))
        yield from both(text, Place("paragraph", f"{name}:", f"{indent}xyzzy: 1", *block))


def _yaml_end(text: str, value: yaml.Node, at: int) -> int:
    """Where a value ends, without what PyYAML counts in up to the next token."""
    end: int = max(at, value.end_mark.index)
    if isinstance(value, yaml.ScalarNode) and value.style in ("|", ">"):
        return end
    kept = text[at:end].rstrip()
    while kept.rpartition("\n")[2].lstrip().startswith("#"):
        kept = kept.rpartition("\n")[0].rstrip()
    return at + len(kept)


def _closed(text: str, at: int) -> int:
    """The end of the line that ends at a place, or that the place is on."""
    return at if at and text[at - 1] == "\n" else _line_end(text, at)


def _line_end(text: str, at: int) -> int:
    """The end of the line a place is on, its line end included."""
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1


# -- TOML and INI


_HEADER = re.compile(r"[ \t]*\[\[?\s*([\w.-]+)\s*\]\]?")
_ENTRY = re.compile(r"([A-Za-z_][\w-]*)[ \t]*([=:])[ \t]*")


def _entries(text: str, last_line: Callable[[str, int], int]) -> Iterator[Place]:
    """Entries of sections: every scope; `last_line` says where the entry on a line ends."""
    lines = lines_of(text)
    headers = [at for at, (start, _) in enumerate(lines) if _HEADER.match(text, start)]
    names = [_HEADER.match(text, lines[at][0]) for at in headers]
    for at, (start, end) in enumerate(lines):
        entry = _ENTRY.match(text, start, end)
        first = text[start:end].strip()
        if entry is None or not once(text, first) or len(first) > 100:
            continue
        above = [number for number, one in enumerate(headers) if one < at]
        if not above:
            continue
        name = names[above[-1]]
        assert name is not None
        after = [one for one in headers if one > at]
        section = (lines[headers[above[-1]]][0], lines[after[0]][0] if after else len(text))
        last = last_line(text, start)
        if last <= start or len(re.findall(rf"\[\s*{re.escape(name[1])}\s*\]", text)) != 1:
            continue
        section_text = text[slice(*section)]
        if len(re.findall(rf"^{re.escape(entry[1])}[ \t]*[=:]", section_text, re.M)) == 1:
            path = f"{name[1]}.{entry[1]}"
            value = (entry.end(), last)
            yield Place("phrase", path, "1", *value)
            yield Place("phrase", path, "", *widened(text, start, last))
        yield from both(text, Place("sentence", first, "xyzzy = 1", start, last))
        new = f"{text[section[0] : lines[headers[above[-1]]][1]]}xyzzy = 1"
        yield from both(text, Place("paragraph", first, new, *section))
        yield Place("phrase", f"[{name[1]}]", "xyzzy = 1", lines[headers[above[-1]]][1], section[1])


def _toml_end(text: str, start: int) -> int:
    """Where the TOML entry that begins at a place ends: as soon as it is one."""
    end = start
    for _ in range(200):
        end = _line_end(text, end)
        try:
            tomllib.loads(text[start:end])
        except tomllib.TOMLDecodeError:
            if end >= len(text):
                return start
        else:
            return end
    return start


def _ini_end(text: str, start: int) -> int:
    """The line with the lines that go on with it, which are indented."""
    end = _line_end(text, start)
    while end < len(text) and text[end] in " \t" and text[end : _line_end(text, end)].strip():
        end = _line_end(text, end)
    return end


def toml_places(text: str, dice: random.Random) -> Iterator[Place]:
    """Entries in tables of their own."""
    if '"""' in text or "'''" in text:
        return
    places = list(_entries(text, _toml_end))
    yield from dice.sample(places, min(16, len(places)))


def ini_places(text: str, dice: random.Random) -> Iterator[Place]:
    """Entries in sections."""
    places = list(_entries(text, _ini_end))
    yield from dice.sample(places, min(16, len(places)))


# -- lines


def _block(text: str, start: int, end: int) -> tuple[int, int]:
    """The lines around a line, up to blank ones."""
    while start and text[text.rfind("\n", 0, start - 1) + 1 : start].strip():
        start = text.rfind("\n", 0, start - 1) + 1
    while end < len(text) and text[end : _line_end(text, end)].strip():
        end = _line_end(text, end)
    return start, end


def env_places(text: str, dice: random.Random) -> Iterator[Place]:
    """Names and their lines."""
    found = [
        (re.match(r"(?:export )?(\w+)=", text[start:end]), start, end)
        for start, end in lines_of(text)
    ]
    named = [(one, start, end) for one, start, end in found if one is not None]
    for name, start, end in dice.sample(named, min(3, len(named))):
        if len(re.findall(rf"^(?:export )?{name[1]}=", text, re.M)) > 1:
            continue
        value = (start + name.end(), start + len(text[start:end].rstrip("\r\n")))
        yield from both(text, Place("phrase", name[1], "xyzzy", *value), "")
        line = text[start:end].strip()
        if once(text, line):
            yield from both(text, Place("sentence", line, "XYZZY=1", start, end))
            block = _block(text, start, end)
            yield from both(text, Place("paragraph", line, "XYZZY=1", *block))


def markdown_places(text: str, dice: random.Random) -> Iterator[Place]:
    """Headings, list items and lines outside of fences."""
    plain, fence = [], ""
    for start, end in lines_of(text):
        line = text[start:end]
        mark = re.match(r"[ >]*(```+|~~~+)", line)
        if mark and not fence:
            fence = mark[1]
        elif mark and line.strip(" >\r\n").startswith(fence):
            fence = ""
        elif not fence and once(text, line.strip()) and re.match(r"[\w#*+-]", line):
            plain.append((start, end))
    if re.search(r"^(?:---|\+\+\+|=+|-+)\s*$|<\w", text, re.M) or fence:
        return
    heads = [
        (start, end, len(text[start:end].split()[0]))
        for start, end in lines_of(text)
        if re.match(r"#{1,6} ", text[start:end]) and (start, end) in plain
    ]
    if len(heads) != len(re.findall(r"^ {0,3}#{1,6}(?: |$)", text, re.M)):
        return
    for start, end in dice.sample(plain, min(4, len(plain))):
        line = text[start:end].strip()
        level = next((depth for first, _, depth in heads if first == start), 0)
        if level:
            body = next((one for one, _, depth in heads if one > start and depth <= level), None)
            stop = len(text) if body is None else body
            yield Place("phrase", line, "New text.", end, stop)
            yield Place("phrase", line, "", end, stop)
            yield from both(text, Place("paragraph", line, "New block.", start, stop))
            continue
        unit = end
        if re.match(r"(?:[*+-]|\d+[.)]) ", line):
            was_blank = False
            while unit < len(text):
                follows = text[unit : _line_end(text, unit)]
                is_lazy = not was_blank and re.match(r"\w+[^.)]", follows)
                if follows.strip() and not follows.startswith((" ", "\t")) and not is_lazy:
                    break
                unit, was_blank = unit + len(follows), not follows.strip()
        elif not re.match(r"\w", line):
            continue
        yield from both(text, Place("sentence", line, "New line.", start, unit))
        yield from both(text, Place("paragraph", line, "New block.", *_block(text, start, end)))


def text_places(text: str, dice: random.Random) -> Iterator[Place]:
    """Lines, exactly, and the blocks they are in."""
    lines = [(start, end) for start, end in lines_of(text) if once(text, text[start:end].strip())]
    for start, end in dice.sample(lines, min(3, len(lines))):
        line = text[start:end]
        wanted = line.strip()
        if not wanted:
            continue
        first = start + line.index(wanted)
        yield Place("phrase", wanted, "new text", first, first + len(wanted))
        yield Place("phrase", wanted, "", first, first + len(wanted))
        block = _block(text, start, end)
        yield from both(text, Place("sentence", wanted, "new", *block))
        yield from both(text, Place("paragraph", wanted, "new", *block))


FINDERS: dict[str, Finder] = {
    "json": json_places,
    "yaml": yaml_places,
    "yml": yaml_places,
    "toml": toml_places,
    "ini": ini_places,
    "cfg": ini_places,
    "env": env_places,
    "md": markdown_places,
    "txt": text_places,
}
"""Extension -> what finds places in such a file."""


def places(extension: str, text: str, dice: random.Random) -> Iterator[Place]:
    """Places of every scope in a text."""
    yield from words(text, dice)
    yield from FINDERS[extension](text, dice)
