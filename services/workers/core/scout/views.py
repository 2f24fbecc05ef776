"""What the file tool printed, as values: scout reads the same text that a model would read."""

import re
from dataclasses import dataclass, replace
from enum import StrEnum

TEXT_CHARS_MAX = 64 * 1024
"""Of one answer of the tool, the part that is read."""


class Trouble(StrEnum):
    """Why the tool refused, as far as it matters for what to do next."""

    OUTSIDE_ROOTS = "outside_roots"
    NO_PATH = "no_path"
    NO_SYMBOL = "no_symbol"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Problem:
    """The tool refused."""

    trouble: Trouble
    text: str
    roots: tuple[str, ...] = ()
    """Folders that may be touched, when the text names them."""
    similar: tuple[str, ...] = ()
    """Paths that exist and resemble the one asked for."""
    nearest: tuple["Place", ...] = ()
    """Symbols that resemble the one asked for."""


@dataclass(frozen=True, slots=True)
class Row:
    """One symbol of an outline."""

    depth: int
    kind: str
    name: str
    signature: str
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileView:
    """One file."""

    path: str
    lines: int
    language: str = ""
    """Empty for what is no code."""
    outline: tuple[Row, ...] = ()
    headings: tuple[str, ...] = ()
    """Anchors, indented by their depth."""
    content: tuple[str, ...] = ()
    """Lines from the first on."""
    is_whole: bool = False
    note: str = ""
    """What stands in place of a content that cannot be shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Several files."""

    count: int
    files: tuple[tuple[str, int], ...] = ()
    """Path and lines."""
    folders: tuple[tuple[str, int], ...] = ()
    """Path and number of files, when there are too many files to name."""
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A symbol where it stands, with its source in `lines` when there was room for it."""

    path: str
    label: str
    first: int
    last: int
    lines: tuple[str, ...] = ()
    members: tuple[Row, ...] = ()
    """What is inside, when the source is too long to be shown."""


@dataclass(frozen=True, slots=True)
class Places:
    """Symbols that were found, best first."""

    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Hits:
    """Lines that match a pattern, each as `path:line [symbol]` and the line."""

    count: int
    files: int
    rows: tuple[tuple[str, str], ...]


View = Problem | FileView | Listing | Places | Hits

_LISTING = re.compile(r"=== (\d+) files ===")
_FILE_ROW = re.compile(r" *\d+b +(\d+|\?)L (.+)")
_FOLDER_ROW = re.compile(r" *(\d+) files +\d+b (.+)")
_HITS = re.compile(r"\[(\d+) match\(es\) across (\d+) file\(s\)\]")
_HIT_ROW = re.compile(r"([^\t]+:\d+(?: \[[^\]]*\])?)(?:\t(.*))?")
_SECTION = re.compile(r"=== (.+) — (.+) \(L(\d+)-L(\d+)\) ===")
_ONE_LINE = re.compile(r"(.+) — (.+) L(\d+)")
_FILE = re.compile(r"=== (.+) ===")
_FACTS = re.compile(r"\[\d+ bytes, (\d+) lines\]")
_LANGUAGE = re.compile(r"\[(.+) — \d+ symbol\(s\)\]")
_ROW = re.compile(r"( *)(\w+) (.+?)((?:\(| -> |:).*)? L(\d+)-L(\d+)(?: \(\+\d+ inside\))?")
_ANCHOR = re.compile(r"( *)[§·] (.+) L(\d+)-L(\d+)")
_NUMBERED = re.compile(r" *\d+\t(.*)")
_ROOTS = re.compile(r"\(fs\.roots: (.*)\)")
_NEAREST = re.compile(r"([^;]+?) \(L(\d+)-L(\d+) of ([^;]+)\)(?:; |$)")
_SIMILAR = re.compile(
    r"nearest directory that exists is (.+?)(?:; similar names in it: (.+))?$", re.M
)


def read_view(text: str, *, is_error: bool) -> View:
    """What an answer of the tool says. Text in no known form is a `Problem` of kind `OTHER`."""
    text = text[:TEXT_CHARS_MAX]
    if is_error:
        return _problem(text)
    lines = text.split("\n")
    if match := _LISTING.fullmatch(lines[0]):
        return _listing(int(match[1]), lines[1:])
    if match := _HITS.fullmatch(lines[0]):
        rows = tuple(
            (_plain(found[1]), found[2] or "") for found in map(_HIT_ROW.fullmatch, lines) if found
        )
        return Hits(int(match[1]), int(match[2]), rows)
    if _SECTION.fullmatch(lines[0]) or _ONE_LINE.fullmatch(lines[0]):
        return Places(_places(lines))
    if match := _FILE.fullmatch(lines[0]):
        return _file(match[1], lines[1:])
    return Problem(Trouble.OTHER, text)


def _problem(text: str) -> Problem:
    if "fs.roots" in text:
        match = _ROOTS.search(text)
        listed = re.findall(r"(/.*?) \(r[wo]\)(?:, |$)", match[1]) if match else []
        return Problem(Trouble.OUTSIDE_ROOTS, text, roots=tuple(listed))
    if "does not exist" in text:
        match = _SIMILAR.search(text)
        names = (match[2] or "").split(", ") if match else []
        similar = tuple(f"{match[1]}/{name}" for name in names if match and name)
        return Problem(Trouble.NO_PATH, text, similar=similar)
    if "was not found" in text:
        near = (
            Place(_plain(match[4]), match[1], int(match[2]), int(match[3]))
            for match in _NEAREST.finditer(text.partition("Nearest: ")[2])
        )
        return Problem(Trouble.NO_SYMBOL, text, nearest=tuple(near))
    return Problem(Trouble.OTHER, text)


def _listing(count: int, lines: list[str]) -> Listing:
    files: list[tuple[str, int]] = []
    folders: list[tuple[str, int]] = []
    for line in lines:
        if match := _FILE_ROW.fullmatch(line):
            files.append((_plain(match[2]), 0 if match[1] == "?" else int(match[1])))
        elif match := _FOLDER_ROW.fullmatch(line):
            folders.append((_plain(match[2]), int(match[1])))
    is_cut = len(files) + sum(number for _, number in folders) < count
    return Listing(count=count, files=tuple(files), folders=tuple(folders), is_cut=is_cut)


def _places(lines: list[str]) -> tuple[Place, ...]:
    places: list[Place] = []
    source: list[str] = []
    members: list[Row] = []

    def end() -> None:
        if source or members:
            places[-1] = replace(places[-1], lines=tuple(source), members=tuple(members))
            source.clear()
            members.clear()

    for line in lines:
        if match := _SECTION.fullmatch(line):
            end()
            label = match[2].strip("'")
            places.append(Place(_plain(match[1]), label, int(match[3]), int(match[4])))
        elif places and (match := _NUMBERED.fullmatch(line)):
            source.append(match[1])
        elif places and (match := _ROW.fullmatch(line)):
            members.append(_row(match))
        elif match := _ONE_LINE.fullmatch(line):
            end()
            at = int(match[3])
            places.append(Place(_plain(match[1]), match[2], at, at))
    end()
    return tuple(places)


def _file(path: str, lines: list[str]) -> FileView:
    facts = _FACTS.fullmatch(lines[0]) if lines else None
    if facts is None:
        return FileView(path=_plain(path), lines=0, note="\n".join(lines[:1]))
    language = _LANGUAGE.fullmatch(lines[1]) if len(lines) > 1 else None
    at = next((n for n, line in enumerate(lines) if line in ("content:", "preamble:")), len(lines))
    rows = (match for match in map(_ROW.fullmatch, lines[1:at]) if match)
    anchors = (match for match in map(_ANCHOR.fullmatch, lines[1:at]) if match)
    content = (match[1] for match in map(_NUMBERED.fullmatch, lines[at:]) if match)
    return FileView(
        path=_plain(path),
        lines=int(facts[1]),
        language=language[1] if language else "",
        outline=tuple(_row(row) for row in rows) if language else (),
        headings=tuple(f"{match[1]}{match[2]}" for match in anchors),
        content=tuple(content),
        is_whole="content:" in lines[at : at + 1],
    )


def _row(match: re.Match[str]) -> Row:
    depth = len(match[1]) // 2
    return Row(depth, match[2], match[3], match[4] or "", int(match[5]), int(match[6]))


def _plain(path: str) -> str:
    return path.removeprefix("./")
