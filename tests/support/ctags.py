"""Functions, classes and methods as Universal Ctags sees them, and where its reading is not ours.

`DIFFERENCES` is every kind of tag that is left out of the comparison, with the reason; it is the
table of docs/humfs.md.
"""

import re
import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from humfs.core.languages import language_of
from humfs.core.symbols import CALLABLE_KINDS, TYPE_KINDS
from humfs.core.text import decode

KINDS = {
    "Python": {"class", "function", "member"},
    "JavaScript": {"class", "function", "method", "generator", "getter", "setter"},
    "TypeScript": {"class", "function", "method", "generator", "interface", "enum"},
    "Go": {"func", "struct", "interface", "type", "methodSpec"},
    "Rust": {"function", "method", "struct", "enum", "interface", "module", "macro"},
    "Java": {"class", "method", "interface", "enum", "annotation"},
    "C": {"function", "struct", "union", "enum"},
    "C++": {"function", "class", "struct", "union", "enum"},
    "C#": {"class", "method", "interface", "enum", "struct"},
    "Ruby": {"class", "method", "module", "singletonMethod"},
    "PHP": {"class", "function", "interface", "trait"},
    "Sh": {"function"},
}
"""Language -> the kinds of tags that are compared."""
FILE_BYTES_MAX = 400_000


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag of ctags."""

    path: str
    line: int
    name: str
    kind: str
    text: str
    """The line, as far as the tag holds it."""
    end: int = 0
    """The last line; 0 where ctags does not say."""


Difference = Callable[[Tag], bool]


def _has(pattern: str) -> Difference:
    return lambda tag: re.search(pattern.replace("NAME", re.escape(tag.name)), tag.text) is not None


def _lacks(pattern: str) -> Difference:
    return lambda tag: not _has(pattern)(tag)


DIFFERENCES: dict[str, tuple[Difference, ...]] = {
    "Python": (_has(r"\blambda\b"),),
    "JavaScript": (
        _lacks(
            r"(?:class|function\s*\*?)\s+NAME\b|\bNAME['\"]?\s*[=:]\s*(?:async\s*)?\(?\s*(?:function|class)"
            r"|\bNAME['\"]?\s*[=:]\s*(?:async\s*)?(?:\([^()]*\)|\w+)\s*=>|NAME\s*\([^()]*\)\s*\{"
        ),
        _has(r"=\s*\(?function\s*\(\)\s*\{"),
    ),
    "TypeScript": (_lacks(r"\bNAME\b"), _has(r"=>\s*\w+<|extends true \?")),
    "Ruby": (_has(r"#\{"),),
    "PHP": (_has(r"=\s*function"), _has(r"new class")),
    "C++": (_has(r"^\s*[A-Z][A-Z0-9_]+\("),),
    "Sh": (_has(r"=\(\)|\[\["),),
}
"""Language -> tags that are no declarations of ours; docs/humfs.md says why."""


def tags(paths: Iterable[Path], language: str) -> list[Tag]:
    """The tags of one language in these files."""
    command = ["ctags", "--output-format=json", "--fields=+neK", "--sort=no", "-L", "-", "-f", "-"]
    options = [f"--languages={language}", "--map-JavaScript=+.mjs", "--map-JavaScript=+.cjs"]
    listed = subprocess.run(
        [command[0], *options, *command[1:]],
        input="\n".join(map(str, paths)).encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    found = []
    for line in listed.stdout.splitlines():
        one = orjson.loads(line)
        if one.get("_type") == "tag" and one["kind"] in KINDS[language] and "line" in one:
            text = one.get("pattern", "").removeprefix("/^").removesuffix("$/")
            end = one.get("end", 0)
            found.append(Tag(one["path"], one["line"], one["name"], one["kind"], text, end))
    return found


def is_compared(tag: Tag, language: str) -> bool:
    """Whether a tag is a declaration that outlines list too."""
    is_named = not re.match(r"_*anon|Anonymous", tag.name)
    return is_named and not any(differs(tag) for differs in DIFFERENCES.get(language, ()))


@dataclass(slots=True)
class Compared:
    """How many tags outlines have, and those they have not."""

    total: int = 0
    missing: list[Tag] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)

    @property
    def share(self) -> float:
        """The part that was found."""
        return 1 - len(self.missing) / self.total if self.total else 1.0


def compare(paths: Iterable[Path], language: str) -> Compared:
    """Look for every tag in the outline of its file: by name and line, or as what begins there."""
    compared, by_file = Compared(), defaultdict[str, list[Tag]](list)
    small = [path for path in paths if path.stat().st_size <= FILE_BYTES_MAX]
    for tag in tags(small, language):
        if is_compared(tag, language):
            by_file[tag.path].append(tag)
    for path, wanted in by_file.items():
        names, starts = _outlined(Path(path))
        for tag in wanted:
            compared.total += 1
            compared.kinds[tag.kind] += 1
            short = re.split(r"\.|::", tag.name)[-1]
            lines = [*names[tag.name], *names[short], *names[f"#{tag.name}"]]
            if tag.line not in starts and not any(tag.line in within for within in lines):
                compared.missing.append(tag)
    return compared


def _outlined(path: Path) -> tuple[defaultdict[str, list[range]], set[int]]:
    """The lines of each name in a file's outline, and the lines where something callable begins."""
    text = decode(path.read_bytes())
    language = language_of(str(path), text.source)
    assert language is not None, path
    names, starts = defaultdict[str, list[range]](list), set[int]()
    for symbol in language.outline(text.source):
        lines = range(text.first_line(symbol.full), text.last_line(symbol.full) + 1)
        short = re.split(r"\.|::", symbol.name)[-1]
        for name in {symbol.name, symbol.member or symbol.name, short}:
            names[name].append(lines)
        if symbol.kind in CALLABLE_KINDS | TYPE_KINDS:
            starts |= {text.first_line(symbol.declaration), text.line_of(symbol.node.start_byte)}
    return names, starts
