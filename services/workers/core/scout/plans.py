"""From a request and what was seen so far to the next looks, or to the answer.

A plan is computed from scratch each time: it asks its `Desk` for what it needs to see; what is not
known yet becomes the next looks. So it adapts to results as a model would, and stays a function.

- A relative path that lies outside is looked for below each folder that may be touched.
- A path that does not exist is looked for by its last name; a word that is no path, as a symbol.
- A symbol that is not found exactly is looked for fuzzily, then as text.
- Of a folder the files that matter most are opened, a few.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from workers.core.scout import answers
from workers.core.scout.requests import Aim, Request
from workers.core.scout.views import (
    FileView,
    Hits,
    Listing,
    Problem,
    Trouble,
    View,
)

LOOKS_MAX = 16
"""Looks at once."""
FILES_MAX = 8
"""Files of a folder that are opened."""
ROOTS_MAX = 4
"""Folders that may be touched in which a path is tried."""

_SHOUTED = frozenset({"readme", "license", "changelog", "security", "contributing"})
"""Names that are mostly written in capitals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One call of the file tool; at most one of the last three is set."""

    path: str
    symbol: str = ""
    query: str = ""
    pattern: str = ""

    def args(self) -> dict[str, str]:
        """The arguments of `humfs_read`."""
        args = {"file_path": self.path}
        for name in ("symbol", "query", "pattern"):
            if value := getattr(self, name):
                args[name] = value
        return args


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next: look, or answer with `text` and be done."""

    looks: tuple[Look, ...] = ()
    text: str = ""


def next_step(request: Request, seen: Mapping[Look, View]) -> Step:
    """Decide the next step from everything seen so far."""
    if request.aim is Aim.GREET:
        return Step(text=answers.GREETING)
    if request.aim in (Aim.HELP, Aim.UNCLEAR):
        return Step(text=answers.HELP if request.aim is Aim.HELP else answers.UNCLEAR)
    desk = Desk(seen)
    parts = list(_SEARCHES.get(request.aim, _about)(request, desk))
    if desk.wanted:
        return Step(looks=tuple(dict.fromkeys(desk.wanted))[:LOOKS_MAX])
    return Step(text=answers.joined(parts))


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look showed; `path` is where it was in the end."""

    path: str
    view: View


@dataclass
class Desk:
    """What lies before us, and what we still want to see."""

    seen: Mapping[Look, View]
    wanted: list[Look] = field(default_factory=list)

    def look(self, look: Look) -> Seen | None:
        """What a look showed; None when it is only wanted now."""
        view = self.seen.get(look)
        if view is None:
            self.wanted.append(look)
            return None
        if isinstance(view, Problem) and view.roots and not look.path.startswith(("/", "~")):
            return self._below_roots(look, view)
        return Seen(look.path, view)

    def find(self, path: str) -> Seen | None:
        """A file or folder; one that does not exist is looked for by its last name."""
        seen = self.look(Look(path=path))
        if seen is None or not isinstance(seen.view, Problem):
            return seen
        if seen.view.trouble is not Trouble.NO_PATH:
            return seen
        name = path.rstrip("/").rpartition("/")[2]
        for near in seen.view.similar:
            if near.rpartition("/")[2].lower() == name.lower():
                return self.look(Look(path=near))
        found = self.everywhere(name)
        if found is None:
            return None
        return self.look(Look(path=found[0])) if found else seen

    def everywhere(self, name: str) -> list[str] | None:
        """Paths that end in `name`, the shallowest first; None while they are wanted."""
        globs = [f"**/{name}", f"**/{name}/*"]
        if "." not in name:
            globs.append(f"**/{name.upper() if name.lower() in _SHOUTED else name}.*")
        seen = [self.look(Look(path=glob)) for glob in globs]
        found: list[set[str]] = []
        for one in seen:
            if one is None:
                return None
            found.append(set(_paths(one.view)))
        found[1] = {path.rpartition("/")[0] for path in found[1]}
        return [path for paths in found for path in sorted(paths, key=_depth)]

    def symbol(self, name: str, where: str) -> View | None:
        """Where a symbol is: exactly, else something like it, else where its name occurs."""
        last = re.split(r"\.|::", name)[-1].partition("#")[0]
        exact = self.look(Look(path=where, symbol=name))
        if exact is None or not _is(exact.view, Trouble.NO_SYMBOL):
            return exact.view if exact else None
        like = self.look(Look(path=where, query=last))
        if like is None or not _is(like.view, Trouble.NO_SYMBOL):
            return like.view if like else None
        text = self.look(Look(path=where, pattern=rf"\b{re.escape(last)}\b"))
        if text is None:
            return None
        return text.view if isinstance(text.view, Hits) and text.view.count else like.view

    def place(self, paths: Iterable[str]) -> str | None:
        """Where to search: the first of `paths` that exists, else everywhere; None: unknown."""
        for path in paths:
            seen = self.find(path)
            if seen is None:
                return None
            if isinstance(seen.view, FileView | Listing):
                return seen.path
        return "."

    def _below_roots(self, look: Look, problem: Problem) -> Seen | None:
        """The same look below each folder that may be touched, until one has an answer."""
        seen: Seen | None = Seen(look.path, problem)
        for root in problem.roots[:ROOTS_MAX]:
            path = root if look.path == "." else f"{root}/{look.path}"
            moved = Look(path=path, symbol=look.symbol, query=look.query, pattern=look.pattern)
            seen = self.look(moved)
            if seen is None or not isinstance(seen.view, Problem):
                break
        return seen


def _about(request: Request, desk: Desk) -> Iterable[str]:
    """READ, LIST, OUTLINE, EXPLAIN, SHOW: by what the targets are."""
    if request.symbols:
        yield from _symbols(request, desk)
        return
    for path in request.paths:
        seen = desk.find(path)
        if seen is None:
            continue
        if _is(seen.view, Trouble.NO_PATH) and re.fullmatch(r"\w+", path):
            view = desk.symbol(path, ".")
            if view is not None:
                yield answers.symbol(request.aim, path, view)
        elif isinstance(seen.view, Listing) and request.aim in (Aim.OUTLINE, Aim.EXPLAIN):
            yield _folder(request, seen.path, seen.view, desk)
        else:
            yield answers.about(request.aim, seen.path, seen.view, asked=path)


def _folder(request: Request, path: str, listing: Listing, desk: Desk) -> str:
    """A folder by the files in it that matter most."""
    views = [desk.look(Look(path=file)) for file in _notable(listing)]
    opened = [seen.view for seen in views if seen and isinstance(seen.view, FileView)]
    return answers.folder(request.aim, path, listing, opened)


def _symbols(request: Request, desk: Desk) -> Iterable[str]:
    where = desk.place(request.paths)
    if where is None:
        return
    for name in request.symbols:
        view = desk.symbol(name, where)
        if view is not None:
            yield answers.symbol(request.aim, name, view)


def _find(request: Request, desk: Desk) -> Iterable[str]:
    """Where things are."""
    if request.symbols:
        yield from _symbols(request, desk)
        return
    for path in request.paths:
        found = desk.everywhere(path.rstrip("/").rpartition("/")[2])
        if found is not None:
            yield answers.found(path, found)


def _search(request: Request, desk: Desk) -> Iterable[str]:
    """Where a text occurs."""
    where = desk.place(request.paths)
    if where is None:
        return
    for text in request.symbols:
        seen = desk.look(Look(path=where, pattern=re.escape(text).replace(r"\ ", " ")))
        if seen is not None:
            yield answers.hits(text, seen.view)


_SEARCHES = {Aim.FIND: _find, Aim.SEARCH: _search}


def _is(view: View | None, trouble: Trouble) -> bool:
    return isinstance(view, Problem) and view.trouble is trouble


def _paths(view: View | None) -> list[str]:
    if isinstance(view, Listing):
        return [path for path, _ in view.files]
    return [view.path] if isinstance(view, FileView) else []


def _depth(path: str) -> tuple[int, str]:
    return path.count("/"), path


def _notable(listing: Listing) -> list[str]:
    """The files to open: what introduces a package, then code by length, near files first."""
    top = min((path.count("/") for path, _ in listing.files), default=0)

    def weight(file: tuple[str, int]) -> tuple[int, int, int, str]:
        path, lines = file
        name = path.rpartition("/")[2]
        rank = 0 if name in ("__init__.py", "README.md", "mod.rs", "index.ts") else 1
        return (
            path.count("/") - top,
            rank if answers.is_code(path) or rank == 0 else 2,
            -lines,
            path,
        )

    files = sorted((file for file in listing.files if file[1]), key=weight)
    return [path for path, _ in files[:FILES_MAX]]
