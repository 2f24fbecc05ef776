"""From a call's `file_path` to the files it means: a file, a directory's files, or a glob's."""

import difflib
import os
from dataclasses import dataclass
from itertools import islice

from humfs.core import globs, paths
from humfs.edge import walks
from humfs.edge.roots import Opened, Place, Roots
from humfs.edge.walks import Found, Target
from humfs.edge.watch import Watch
from humfs.errors import Code, Refusal

NAMES_COMPARED_MAX = 5_000
SIMILAR_MAX = 5


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a path means."""

    found: Found
    is_single: bool
    """One file, to be shown by itself."""
    base: str
    """The directory all files are below, as shown."""

    @property
    def targets(self) -> list[Target]:
        """The files."""
        return self.found.targets


def resolve(
    roots: Roots, asked: str, cwd: str | None, *, watch: Watch, with_sizes: bool = True
) -> Resolved:
    """Find the files; an existing path wins over a glob. Raises `Refusal`.

    Those of a directory have no size unless asked for.
    """
    try:
        with roots.open(asked, cwd) as opened:
            if not opened.is_directory:
                return Resolved(Found([_target(asked, opened)]), True, asked)
            shown = asked.rstrip("/") or "/"
            found = walks.walk(roots, opened, shown=shown, watch=watch, with_sizes=with_sizes)
            return Resolved(found, False, shown)
    except Refusal as refusal:
        if refusal.code is not Code.NOT_FOUND:
            raise
        if not globs.is_glob(asked):
            raise _with_similar(roots, refusal, asked, cwd) from None
    pattern = globs.parse(asked)
    base = pattern.base or "."
    try:
        with roots.open(base, cwd) as opened:
            if not opened.is_directory:
                raise Refusal(Code.NOT_FOUND, f"{base} is no directory: {asked} does not exist.")
            found = walks.glob(roots, opened, pattern, watch=watch)
    except Refusal as refusal:
        if refusal.code is Code.NOT_FOUND:
            raise _with_similar(roots, refusal, base, cwd) from None
        raise
    return Resolved(found, len(found.targets) == 1, pattern.base.rstrip("/"))


def _target(shown: str, opened: Opened) -> Target:
    return Target(shown, opened.place, opened.status.st_size, opened.status.st_mtime_ns)


def _with_similar(roots: Roots, refusal: Refusal, asked: str, cwd: str | None) -> Refusal:
    """The refusal with the nearest existing parent and similar names in it."""
    place = roots.place(asked, cwd)
    relative = place.relative
    while relative != ".":
        relative, _, name = relative.rpartition("/")
        relative = relative or "."
        try:
            with roots.open_place(Place(place.root, relative)) as opened:
                names = _names(roots, opened) if opened.is_directory else []
        except OSError:
            continue
        similar = difflib.get_close_matches(name, names, n=SIMILAR_MAX, cutoff=0.4)
        near = f"The nearest directory that exists is {opened.place.path}"
        hint = f"{near}; similar names in it: {', '.join(similar)}" if similar else near
        return Refusal(refusal.code, refusal.message, hint=hint)
    return refusal


def _names(roots: Roots, opened: Opened) -> list[str]:
    with os.scandir(opened.handle) as listed:
        entries = list(islice(listed, NAMES_COMPARED_MAX))
    return [
        entry.name
        for entry in entries
        if not roots.is_denied(paths.join(opened.place.path, entry.name))
    ]
