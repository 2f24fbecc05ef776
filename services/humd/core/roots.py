"""What a forager of files says about its roots, and which paths are below them.

Paths are compared as text: `.`, `..` and repeated slashes are taken out, whole components count.
What a link in a path leads to only the forager knows, and it decides for itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from humd.core.arrivals import Arrival
from thrum.tones import Body

ROOTS_MAX = 256
"""Roots in one hello; later ones are not asked for."""
PATHS_MAX = 64
"""Tools in one hello for which the argument with the path is named."""
PATH_CHARS_MAX = 4_096
"""Longest path that is looked at; a longer one is no path of any system."""

_ADDRESS = "hum://"
"""How an address begins; on its host it stands for the path behind the name of the host."""


class Root(NamedTuple):
    """A folder with everything below it."""

    path: str
    """Absolute, without a slash at its end."""
    is_writable: bool


@dataclass(frozen=True, slots=True)
class Files:
    """What a forager works on."""

    roots: tuple[Root, ...] = ()
    """The first is where paths begin that begin nowhere."""
    home: str = ""
    """What `~` stands for; empty when it does not say."""
    paths: dict[str, str] = field(default_factory=dict)
    """By tool, the argument that holds the path."""

    def root_of(self, path: str) -> Root | None:
        """The longest root that holds a path; of equal ones the one that may be written."""
        above = [root for root in self.roots if _holds(root.path, path)]
        return max(above, key=_order, default=None)

    def path_of(self, arrival: Arrival, tool: str) -> str | None:
        """The path that a call of this tool is about; None when it begins nowhere.

        A call without one is about the folder that it runs in.
        """
        args = arrival.body.get("args")
        named = args.get(self.paths.get(tool, "")) if isinstance(args, Mapping) else None
        asked = named if isinstance(named, str) and named else "."
        cwd = arrival.text("cwd")
        if cwd and cwd.startswith(_ADDRESS):
            cwd = f"/{cwd.removeprefix(_ADDRESS).partition('/')[2]}"
        return self._absolute(asked) or (self._absolute(f"{cwd}/{asked}") if cwd else None)

    def _absolute(self, path: str) -> str | None:
        if len(path) > PATH_CHARS_MAX:
            return None
        if self.home and (path == "~" or path.startswith("~/")):
            path = self.home + path[1:]
        return plain(path) if path.startswith("/") else None


def files_of(value: object) -> Files | None:
    """The `files` of a hello; None when it says nothing, and what does not fit is left out."""
    if not isinstance(value, dict):
        return None
    told, paths = value.get("roots"), value.get("paths")
    roots = [_root_of(entry) for entry in (told if isinstance(told, list) else [])[:ROOTS_MAX]]
    fits = [
        (tool, argument)
        for tool, argument in (paths.items() if isinstance(paths, dict) else ())
        if isinstance(tool, str) and isinstance(argument, str)
    ]
    return Files(
        roots=tuple(root for root in roots if root is not None),
        home=_folder(value.get("home")) or "",
        paths=dict(sorted(fits)[:PATHS_MAX]),  # in the order of the log, so that a replay agrees
    )


def told(files: Files) -> list[Body]:
    """The roots as a manifest has them."""
    return [{"path": root.path, "mode": "rw" if root.is_writable else "ro"} for root in files.roots]


def plain(path: str) -> str:
    """An absolute path without `.`, `..`, repeated slashes and a slash at its end."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return f"/{'/'.join(parts)}"


def _holds(root: str, path: str) -> bool:
    return root in ("/", path) or path.startswith(f"{root}/")


def _order(root: Root) -> tuple[int, bool]:
    return len(root.path), root.is_writable


def _root_of(entry: object) -> Root | None:
    if not isinstance(entry, dict):
        return None
    path = _folder(entry.get("path"))
    return Root(path, entry.get("mode") != "ro") if path is not None else None


def _folder(path: object) -> str | None:
    """An absolute path, or None."""
    if not isinstance(path, str) or len(path) > PATH_CHARS_MAX or not path.startswith("/"):
        return None
    return plain(path)
