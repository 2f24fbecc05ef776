"""scout's words: what was seen, told plainly, with real names and places."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from workers.core.scout.requests import Aim
from workers.core.scout.views import (
    FileView,
    Hits,
    Listing,
    Place,
    Places,
    Problem,
    Row,
    Trouble,
    View,
)

ANSWER_CHARS_MAX = 12_000
"""Characters of one answer; what is over is left out, and the answer says so."""
SHOWN_LINES_MAX = 80
"""Lines of a file or symbol that are quoted."""
NAMES_MAX = 12
"""Names of one kind in one line."""
ROWS_MAX = 24
"""Rows of one list."""
SENTENCE_CHARS_MAX = 300
"""Characters of what a file or symbol says of itself."""

INTRODUCTION = (
    "I am scout, hum's built-in worker: not a model, just a program that looks things up in your "
    "files."
)
EXAMPLES = (
    "- `list services`, `what is in README.md?`\n"
    "- `what does services/thrum define?`, `outline of services/nest/bee.py`\n"
    "- `where is Bee defined?`, `show function read_frame in services/thrum/frames.py`\n"
    '- `search for "signed log" in docs`, `explain services/humd`'
)
MODEL_HINT = (
    "For free conversation give hum a model: set `OPENAI_API_KEY` (or `OPENAI_BASE_URL` for one of "
    "your own) and run `hum up`."
)
GREETING = (
    "Hi! Everything works: your words went through hum to me and back. Ask me things like\n\n"
    f"{EXAMPLES}\n\n{MODEL_HINT}"
)
HELP = (
    "I list, read, outline, find and explain files and symbols. Ask me things like\n\n"
    f"{EXAMPLES}\n\n{MODEL_HINT}"
)
UNCLEAR = (
    "That needs understanding, and I only look things up. Ask me things like\n\n"
    f"{EXAMPLES}\n\n{MODEL_HINT}"
)
NO_TOOL = (
    "I cannot look at files: no file tool is connected. Start hum with the folder that I may read:"
    "\n\n    hum up --root DIR"
)
TOO_LONG = "I stopped: the question took more looks than I make. Ask about one file or symbol."

_WORDS = {
    "fn": "function",
    "mod": "module",
    "ctor": "constructor",
    "prop": "property",
    "var": "variable",
    "const": "constant",
    "proto": "prototype",
}
_CODE = re.compile(
    r"\.(py|pyi|js|jsx|mjs|cjs|ts|tsx|mts|vue|go|rs|java|kt|swift|c|h|cc|cpp|hpp|rb|php|cs|sh|lua)$"
)
_SENTENCE = re.compile(r"(.+?[.!?])(?:\s|$)", re.DOTALL)


def is_code(path: str) -> bool:
    """Whether a path looks like a program's source."""
    return _CODE.search(path) is not None


def joined(parts: Iterable[str]) -> str:
    """The parts of an answer as one text, within its bound."""
    text = "\n\n".join(part for part in parts if part)
    if len(text) <= ANSWER_CHARS_MAX:
        return text
    kept = text[:ANSWER_CHARS_MAX].rsplit("\n", 1)[0]
    fence = "\n```" if kept.count("```") % 2 else ""
    return f"{kept}{fence}\n\n(The rest is left out: ask for less at a time.)"


def about(aim: Aim, path: str, view: View, *, asked: str) -> str:
    """One file or folder; `path` is where it was found, `asked` what was asked for."""
    moved = "" if path == asked.removeprefix("./") or path.endswith(f"/{asked}") else asked
    if isinstance(view, Problem):
        return problem(asked, view)
    if isinstance(view, Listing):
        return _moved(moved, path) + listing(path, view)
    if isinstance(view, FileView):
        return _moved(moved, view.path) + _file(aim, view)
    return ""


def folder(aim: Aim, path: str, whole: Listing, opened: Sequence[FileView]) -> str:
    """A folder, by the files of it that were opened."""
    introduction = next((_documentation(view) for view in opened if _is_front(view)), "")
    files = "file" if whole.count == 1 else "files"
    parts = [f"`{path}` has {whole.count} {files}." + (f" {introduction}" if introduction else "")]
    for view in opened:
        said = "" if _is_front(view) else _documentation(view)
        names = _names(view)
        if said or names:
            said = f": {said}" if said else ""
            parts.append(
                f"`{view.path}` ({view.lines} lines){said}" + (f"\n{names}" if names else "")
            )
    left = whole.count - len(opened)
    if left > 0:
        others = [path for path, _ in whole.files if path not in {view.path for view in opened}]
        named = f": {_some(others)}" if others else ""
        parts.append(f"Not opened: {left} more{named}.")
    if aim is Aim.OUTLINE and not any(view.outline for view in opened):
        parts.append("None of the files that I opened defines symbols that I can read.")
    return "\n\n".join(parts)


def listing(path: str, view: Listing) -> str:
    """A folder's files, gathered by its direct subfolders."""
    if not view.count:
        return f"`{path}` has no files."
    base = "" if path in (".", "") else path.rstrip("/") + "/"
    folders: Counter[str] = Counter()
    files: list[str] = []
    for name, lines in view.files:
        head, slash, _ = name.removeprefix(base).partition("/")
        if slash:
            folders[head] += 1
        else:
            files.append(f"- `{head}` ({lines} lines)")
    for name, number in view.folders:
        head = name.removeprefix(base).partition("/")[0]
        if name.rstrip("/") != base.rstrip("/"):
            folders[head] += number
    total = "1 file" if view.count == 1 else f"{view.count} files"
    rows = [f"- `{name}/` ({number} file{'s' * (number != 1)})" for name, number in folders.items()]
    rows = sorted(rows) + sorted(files)
    cut = "\nThe list is not complete: there are too many files." if view.is_cut else ""
    more = f"\n- and {len(rows) - 2 * ROWS_MAX} more" if len(rows) > 2 * ROWS_MAX else ""
    return f"`{path}` has {total}:\n\n" + "\n".join(rows[: 2 * ROWS_MAX]) + more + cut


def symbol(aim: Aim, name: str, view: View) -> str:
    """Where a symbol is and what it looks like."""
    if isinstance(view, Problem):
        return problem(name, view)
    if isinstance(view, Hits):
        return f"I found no definition of `{name}`. " + hits(name, view)
    if not isinstance(view, Places):
        return ""
    last = re.split(r"\.|::", name)[-1]
    exact = [place for place in view.places if _last_name(place) == last]
    if not exact:
        near = "\n".join(f"- {_where(place)}" for place in view.places[:ROWS_MAX])
        return f"I found no `{name}`. The nearest names:\n\n{near}"
    shown = 1 if aim is Aim.FIND else 3
    parts = [_place(aim, place) for place in exact[:shown]]
    if rest := exact[shown : shown + ROWS_MAX]:
        parts.append("Also:\n\n" + "\n".join(f"- {_where(place)}" for place in rest))
    return "\n\n".join(parts)


def found(asked: str, paths: Sequence[str]) -> str:
    """Where files of a name are."""
    if not paths:
        return f"I found no file or folder named `{asked}`."
    rows = [f"- `{path}`" for path in paths[:ROWS_MAX]]
    more = f"\n- and {len(paths) - ROWS_MAX} more" if len(paths) > ROWS_MAX else ""
    return f"`{asked}` is here:\n\n" + "\n".join(rows) + more


def hits(text: str, view: View) -> str:
    """Where a text occurs."""
    if isinstance(view, Problem):
        return problem(text, view)
    if not isinstance(view, Hits):
        return ""
    if not view.count:
        return f"`{text}` occurs nowhere in the files that I may read."
    times = "once" if view.count == 1 else f"{view.count} times"
    files = "1 file" if view.files == 1 else f"{view.files} files"
    rows = [f"- `{where}` {line.strip()[:120]}".rstrip() for where, line in view.rows[:ROWS_MAX]]
    more = f"\n- and {view.count - ROWS_MAX} more" if view.count > ROWS_MAX else ""
    return f"`{text}` occurs {times} in {files}:\n\n" + "\n".join(rows) + more


def problem(asked: str, view: Problem) -> str:
    """A refusal of the file tool, and the mend."""
    if view.trouble is Trouble.OUTSIDE_ROOTS:
        may = f"I may only read below {_some(view.roots)}" if view.roots else "I may read no folder"
        mend = "To let me, name the folder that holds it:\n\n    hum up --root DIR"
        return f"{may}, so I cannot look at `{asked}`. {mend}"
    if view.trouble is Trouble.NO_PATH:
        near = f" There is: {_some(view.similar)}." if view.similar else ""
        return f"There is no `{asked}` in the folders that I may read.{near}"
    if view.trouble is Trouble.NO_SYMBOL:
        near = "\n".join(f"- {_where(place)}" for place in view.nearest)
        nearest = f" The nearest names:\n\n{near}" if near else ""
        return f"I found no `{asked}`, neither as a name nor as a text.{nearest}"
    return f"The file tool would not show `{asked}`: {view.text[:400]}"


def _file(aim: Aim, view: FileView) -> str:
    if view.note:
        return f"`{view.path}` is no text: {view.note}"
    head = f"`{view.path}` has {view.lines} line{'s' * (view.lines != 1)}"
    if not view.lines:
        return f"`{view.path}` is empty."
    parts: list[str] = []
    if view.language:
        said = _documentation(view)
        parts.append(f"{head} of {view.language}." + (f" {said}" if said else ""))
        if view.outline:
            parts.append("It defines:\n\n" + _tree(view.outline))
    elif view.headings:
        rows = [f"- {heading}" for heading in view.headings[:ROWS_MAX]]
        more = len(view.headings) - len(rows)
        rows += [f"- and {more} more"] * (more > 0)
        parts.append(f"{head}. Its parts:\n\n" + "\n".join(rows))
    else:
        parts.append(f"{head}.")
    if aim is Aim.READ or not view.language:
        parts.append(_quoted(view))
    return "\n\n".join(part for part in parts if part)


def _quoted(view: FileView) -> str:
    """The beginning of a file."""
    shown = view.content[:SHOWN_LINES_MAX]
    if not shown:
        return ""
    left = view.lines - len(shown)
    begins = "It says" if not left else f"It begins ({left} more lines follow)"
    return f"{begins}:\n\n{_fenced(shown)}"


def _place(aim: Aim, place: Place) -> str:
    """One symbol: where, what it says of itself, and its source or members when asked for."""
    text = f"{_where(place)}."
    if said := _docstring(place.lines):
        text += f" {said}"
    if aim is not Aim.FIND and place.members:
        return f"{text} It has:\n\n{_tree(place.members)}"
    if aim is Aim.FIND or not place.lines:
        return text
    shown = place.lines[:SHOWN_LINES_MAX]
    left = len(place.lines) - len(shown)
    more = f"\n\n({left} more lines follow.)" if left else ""
    return f"{text}\n\n{_fenced(shown)}{more}"


def _where(place: Place) -> str:
    kind, _, rest = place.label.partition(" ")
    label = f"{_WORDS.get(kind, kind)} `{rest}`" if rest else f"`{place.label}`"
    lines = (
        f"line {place.first}" if place.first == place.last else f"lines {place.first}-{place.last}"
    )
    return f"{label} is in `{place.path}`, {lines}"


def _tree(rows: Sequence[Row]) -> str:
    """An outline as a list, two levels deep."""
    top = min(row.depth for row in rows)
    kept = [row for row in rows if row.depth < top + 2][: 2 * ROWS_MAX]
    lines = [
        f"{'  ' * (row.depth - top)}- {_WORDS.get(row.kind, row.kind)} `{row.name}{row.signature}`"
        f" {_lines(row.first, row.last)}"
        for row in kept
    ]
    left = len(rows) - len(kept)
    if left:
        lines.append(f"- and {left} more inside")
    return "\n".join(lines)


def _names(view: FileView) -> str:
    """The top-level names of a file, by kind; private ones are left out."""
    kinds: dict[str, list[str]] = {}
    for row in view.outline:
        if row.depth == 0 and not row.name.startswith("_"):
            kinds.setdefault(row.kind, []).append(row.name)
    order = sorted(kinds, key=lambda kind: (kind in ("var", "const"), kind))
    return "\n".join(f"- {_WORDS.get(kind, kind)}: {_some(kinds[kind])}" for kind in order)


def _documentation(view: FileView) -> str:
    """What a file says of itself in its first sentence."""
    if view.language:
        return _docstring(view.content[:SHOWN_LINES_MAX])
    prose = (
        line for line in view.content if line and not line.startswith(("#", "=", "-", "<", "["))
    )
    return _sentence(next(prose, ""))


def _docstring(lines: Sequence[str]) -> str:
    """The first sentence of the first docstring, or of the comment at the top."""
    text = "\n".join(lines)
    if match := re.search(r'(?:^|\n)\s*[rR]?"""(.+?)(?:"""|\Z)', text, re.DOTALL):
        return _sentence(match[1])
    comment = re.match(r"(?:\s*(?://+!?|#(?!!))\s?.*\n?)+", text)
    return _sentence(re.sub(r"(?m)^\s*(?://+!?|#)\s?", "", comment[0])) if comment else ""


def _sentence(text: str) -> str:
    text = re.sub(r"\s+", " ", text.split("\n\n")[0]).strip()
    match = _SENTENCE.match(text)
    return (match[1] if match else text)[:SENTENCE_CHARS_MAX]


def _is_front(view: FileView) -> bool:
    return view.path.rpartition("/")[2] in ("__init__.py", "README.md", "mod.rs", "index.ts")


def _lines(first: int, last: int) -> str:
    return f"line {first}" if first == last else f"lines {first}-{last}"


def _last_name(place: Place) -> str:
    return re.split(r"\.|::| ", place.label)[-1].partition("#")[0]


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:NAMES_MAX])
    left = len(names) - NAMES_MAX
    return f"{shown} and {left} more" if left > 0 else shown


def _moved(asked: str, path: str) -> str:
    return f"There is no `{asked}`; I took `{path}`.\n\n" if asked else ""


def _fenced(lines: Sequence[str]) -> str:
    text = "\n".join(lines)
    fence = "````" if "```" in text else "```"
    return f"{fence}\n{text}\n{fence}"
