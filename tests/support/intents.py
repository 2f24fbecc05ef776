"""Edits that somebody might ask for on real code, and what must be true of the file afterwards.

Nothing here asks humfs where a symbol is: Universal Ctags says where it begins and mostly where it
ends, and indentation says so where ctags does not. What an edit did is judged by the bytes and by
what ctags sees then.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from tests.support.ctags import Tag, is_compared, tags
from tests.support.humfs import Tools

from humfs.tools.tool import Result

OPERATIONS = ("replace", "insert_before", "insert_after", "delete")
FILE_BYTES_MAX = 200_000
_HEADER = re.compile(r"^=== .+? — \w+ (.+) \(L(\d+)-L(\d+)\) ===$", re.MULTILINE)
_ROW = re.compile(r"^.+? — \w+ (.+) L(\d+)$", re.MULTILINE)
COMMENTS = {"Python": "#", "Ruby": "#", "Sh": "#"}
"""Language -> what begins a comment; `//` in all others."""
MARK = "changed by an intent"
COPY = "copyof"
_CLOSING = re.compile(rb"[ \t]*(?:[)\]}>]|end\b|fi\b|done\b|esac\b)")
_GOES_ON = re.compile(rb"\{|where\b|extends\b|implements\b")
_ABOVE = re.compile(rb"[ \t]*(?:#|//|/\*|\*|@|\[|template\b|export\b|[\w \t*&:<>,]+$)")
_TYPE = re.compile(rb"[\w \t*&:<>,]+$")
_NO_NAME = re.compile(r"_*anon|Anonymous")
_RAW = re.compile(rb"`|<<|\\$")
"""Text that may go on over lines whatever their indentation."""


@dataclass(frozen=True)
class Intent:
    """One edit of one symbol of a file in the root."""

    operation: str
    language: str
    tag: Tag
    """Where the symbol is in the original file."""
    lines: list[bytes]
    last: int
    """The symbol's last line."""
    listed: Counter[tuple[str, str]]
    """Kind and name of everything ctags sees in the file."""
    inside: Counter[tuple[str, str]]
    """Of the symbol itself and what is in it."""

    @property
    def source(self) -> bytes:
        """The symbol's lines; in C its type may stand on the one before."""
        first = self.tag.line - 1
        if self.language in ("C", "C++") and _TYPE.match(self.lines[first - 1].strip() or b"-"):
            first -= 1
        return b"".join(self.lines[first : self.last])

    def copied(self, text: str) -> str:
        """A text with another name for the symbol."""
        name = self.tag.name
        copy = (COPY.capitalize() if name[0].isupper() else COPY) + name.lstrip("_")
        return re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", copy, text)

    @property
    def expected(self) -> Counter[tuple[str, str]]:
        """What ctags should see in the file after the edit."""
        if self.operation == "replace":
            return self.listed
        if self.operation == "delete":
            return self.listed - self.inside
        copies = ((kind, self.copied(name)) for kind, name in self.inside.elements())
        return self.listed + Counter(copies)


@dataclass
class Judged:
    """What became of many intents."""

    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    refusals: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All of them."""
        return self.done.total() + self.refused.total()


def intents(paths: Iterable[Path], language: str, *, most: int) -> Iterator[Intent]:
    """Edits of every n-th symbol of these files, each operation in its turn."""
    by_file, number = defaultdict[str, list[Tag]](list), count()
    small = [path for path in paths if 0 < path.stat().st_size <= FILE_BYTES_MAX]
    for tag in tags(small, language):
        by_file[tag.path].append(tag)
    every = max(1, sum(map(len, by_file.values())) // most)
    for path, listed in by_file.items():
        source = Path(path).read_bytes()
        lines = source.splitlines(keepends=True)
        for tag in listed:
            last = tag.end or _end(lines, tag.line)
            nth, own = divmod(next(number), every)
            if own or not last or not _is_alone(tag, listed, source, language):
                continue
            yield Intent(
                OPERATIONS[nth % len(OPERATIONS)],
                language,
                tag,
                lines,
                last,
                _counted(listed),
                _counted(one for one in listed if tag.line <= one.line <= last),
            )


def _is_alone(tag: Tag, listed: list[Tag], source: bytes, language: str) -> bool:
    """Whether a tag is a declaration of ours that shares neither its line nor its body.

    Overloads of TypeScript are edited as one; ctags misses the end of `def f = 1` in Ruby.
    """
    same = [one for one in listed if one.line == tag.line]
    is_overload = (
        language == "TypeScript"
        and len(re.findall(rb"function %b\b" % tag.name.encode(), source)) > 1
    )
    is_misread = language == "Ruby" and re.search(r"\bdef \w+ =", tag.text)
    is_plain = len(same) == 1 and tag.name.isidentifier() and not (is_overload or is_misread)
    return is_plain and is_compared(tag, language)


def _counted(listed: Iterable[Tag]) -> Counter[tuple[str, str]]:
    """Kinds and names; those that ctags makes up for what has no name are left out."""
    return Counter((one.kind, one.name) for one in listed if not _NO_NAME.match(one.name))


def _end(lines: list[bytes], first: int) -> int:
    """The last line of what begins on a line, by indentation; 0 where that is no guide."""
    indent = _indent(lines[first - 1])
    if lines[first - 1].rstrip().endswith(b";"):
        return first
    for at in range(first, len(lines)):
        line = lines[at].strip()
        if _RAW.search(line):
            return 0
        if not line or _indent(lines[at]) > indent or _GOES_ON.match(line):
            continue
        if _CLOSING.match(line) and line.endswith((b"{", b"(", b"[", b"<", b",", b"->")):
            continue
        if line.startswith((b")", b"]")) and not line.endswith((b";", b")", b"}")):
            continue
        return at + 1 if _CLOSING.match(line) else _filled(lines, at)
    return _filled(lines, len(lines))


def _filled(lines: list[bytes], end: int) -> int:
    while end and not lines[end - 1].strip():
        end -= 1
    return end


def _indent(line: bytes) -> int:
    return len(line.expandtabs(8)) - len(line.expandtabs(8).lstrip())


def carry_out(tools: Tools, intent: Intent, name: str) -> Result:
    """Ask for an edit as an agent would: look the name up, take the one on the right lines."""
    found = tools.read(name, query=intent.tag.name).output
    listed = [(path, int(first), int(last)) for path, first, last in _HEADER.findall(found)]
    listed += [(path, int(first), int(first)) for path, first in _ROW.findall(found)]
    symbol = _meant(listed, intent) or intent.tag.name
    result = _asked(tools, name, symbol, intent)
    if result.metadata.get("error") == "symbol_ambiguous":
        candidates = re.findall(r"(?:: |; )(\S[^;]*?) \(L(\d+)-L(\d+)\)", result.output)
        listed = [(path, int(first), int(last)) for path, first, last in candidates]
        result = _asked(tools, name, _meant(listed, intent) or symbol, intent)
    return result


def _meant(listed: list[tuple[str, int, int]], intent: Intent) -> str:
    """Of the places named in an answer, the one that is on the line; comments may begin above."""
    line = intent.tag.line
    fitting = [(last - first, path) for path, first, last in listed if first <= line <= last]
    near = [(line - first, path) for path, first, last in listed if _is_above(intent, first)]
    return min(fitting or near, default=(0, ""))[1]


def _is_above(intent: Intent, first: int) -> bool:
    """Whether from a line on there are only comments and the like up to the declaration."""
    between = intent.lines[first - 1 : intent.tag.line - 1]
    return first <= intent.tag.line and all(_ABOVE.match(line) for line in between)


def _asked(tools: Tools, name: str, symbol: str, intent: Intent) -> Result:
    args = {"operation": intent.operation, "symbol": symbol}
    if intent.operation != "delete":
        args["new_source"] = _new_source(intent)
    return tools.code(name, **args)


def _new_source(intent: Intent) -> str:
    """The symbol with a comment above it; a copy of it under another name."""
    old = intent.source.decode("utf-8", "replace")
    if intent.operation != "replace":
        return intent.copied(old)
    indent = old[: len(old) - len(old.lstrip(" \t"))]
    return f"{indent}{COMMENTS.get(intent.language, '//')} {MARK}\n{old}"


Changed = tuple[Intent, Path]


def judge(judged: Judged, tools: Tools, root: Path, intent: Intent) -> Changed | None:
    """Carry one out on a copy, note what is wrong with its bytes; the file if it was changed."""
    file = root / f"{judged.total}-{Path(intent.tag.path).name}"
    file.write_bytes(b"".join(intent.lines))
    result = carry_out(tools, intent, file.name)
    after = file.read_bytes()
    what = f"{intent.operation} {intent.tag.name} {intent.tag.path}:{intent.tag.line}"
    if result.is_error:
        judged.refused[str(result.metadata["error"])] += 1
        judged.refusals.append(f"{what}: {result.output}")
        if after != b"".join(intent.lines):
            judged.wrong.append(f"{what}: refused and changed")
        if not re.search(r"L\d+-L\d+|line \d+|No change", result.output):
            judged.wrong.append(f"{what}: refused without a place: {result.output[:200]}")
        return None
    judged.done[intent.operation] += 1
    fault = _fault(intent, after)
    if fault:
        judged.wrong.append(f"{what}: {fault}")
        return None
    return intent, file


def _fault(intent: Intent, after: bytes) -> str:
    """What is wrong with the bytes of a changed file."""
    before = b"".join(intent.lines)
    start, end = _span(intent)
    kept = len(after) >= start + len(before) - end
    if not (kept and after.startswith(before[:start]) and after.endswith(before[end:])):
        return f"changed outside its bytes {start}..{end}"
    if before == after:
        return "success without a change"
    in_common = _common(before, after) + _common(before[::-1], after[::-1])
    if intent.operation.startswith("insert") and in_common < len(before):
        return "an insert took something away"
    if intent.operation == "delete" and in_common < len(after):
        return "a delete put something in"
    if intent.operation == "replace" and after.count(MARK.encode()) != 1:
        return "the new text is not there once"
    return ""


def _span(intent: Intent) -> tuple[int, int]:
    """The bytes an edit may change: the symbol, comments and the like above, blank lines around."""
    first, last, in_comment = intent.tag.line - 1, intent.last, False
    while first and (intent.lines[first - 1].strip() or in_comment):
        line = intent.lines[first - 1]
        in_comment = b"/*" not in line and (in_comment or line.rstrip().endswith(b"*/"))
        if not in_comment and not _ABOVE.match(line):
            break
        first -= 1
    while first and not intent.lines[first - 1].strip():
        first -= 1
    indent = _indent(intent.lines[intent.tag.line - 1])
    while last < len(intent.lines) and _is_tail(intent.lines[last], indent):
        last += 1
    sizes = [len(line) for line in intent.lines]
    above = sum(sizes[:first])
    end_of_line = len(intent.lines[first - 1]) - len(intent.lines[first - 1].rstrip(b"\r\n"))
    return above - (end_of_line if first else 0), sum(sizes[:last])


def _is_tail(line: bytes, indent: int) -> bool:
    """Whether a line is blank, or a comment inside what ended before it by its indentation."""
    return not line.strip() or (line.lstrip().startswith(b"#") and _indent(line) > indent)


def _common(one: bytes, other: bytes) -> int:
    """How many bytes two texts have in common at their start."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one.startswith(other[:middle]) else (low, middle - 1)
    return low


def recount(judged: Judged, changed: list[Changed], language: str) -> None:
    """What ctags sees in the changed files: the same, the symbol once more, or without it."""
    seen = defaultdict[str, list[Tag]](list)
    for tag in tags((path for _, path in changed), language):
        seen[tag.path].append(tag)
    for intent, path in changed:
        found = _counted(seen[str(path)])
        if found != intent.expected:
            what = f"{intent.operation} {intent.tag.name} {intent.tag.path}:{intent.tag.line}"
            more, less = found - intent.expected, intent.expected - found
            judged.wrong.append(f"{what}: more {more}, less {less}")
