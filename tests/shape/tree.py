"""The project's files, read once, and names in Python source as the interpreter resolves them."""

import ast
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ALLOWED = "# allowed: "
"""Before the reason why the hazard on this line, or on the next one, is none."""


@dataclass(frozen=True, slots=True)
class Source:
    """One Python file."""

    path: PurePosixPath
    """Below the project's root."""
    text: str
    nodes: tuple[ast.AST, ...]
    """Every node of its syntax tree."""
    names: dict[str, str]
    """Each imported name, with the dotted name it stands for."""

    @classmethod
    def of(cls, path: str, text: str) -> "Source":
        nodes = tuple(ast.walk(ast.parse(text)))
        return cls(PurePosixPath(path), text, nodes, _imported(nodes))

    def dotted(self, node: ast.AST) -> str:
        """What a name or attribute refers to, such as `os.path.join`; empty for anything else."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            owner = self.dotted(node.value)
            return f"{owner}.{node.attr}" if owner else ""
        return ""

    def allows(self, node: ast.AST) -> bool:
        """Whether a reason stands at the end of the node's first line, or alone above it."""
        line = getattr(node, "lineno", 0)
        lines = self.text.splitlines()
        here = lines[line - 1] if 0 < line <= len(lines) else ""
        above = lines[line - 2].strip() if line > 1 else ""
        return _has_reason(here) or (above.startswith("#") and _has_reason(above))


def sources(*folders: str) -> list[Source]:
    """Every Python file below these folders, scripts without a suffix included."""
    return [source for source in _sources() if source.path.parts[0] in folders]


@cache
def files() -> tuple[PurePosixPath, ...]:
    """Every file that is, or would be, committed."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = sorted(filter(None, listing.split("\0")))
    return tuple(PurePosixPath(name) for name in found if (ROOT / name).is_file())


@cache
def read(path: PurePosixPath) -> str:
    """The text of a file; empty when it is none."""
    try:
        return (ROOT / path).read_text("utf-8")
    except UnicodeDecodeError:
        return ""


@cache
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def packages() -> list[str]:
    """The folders of services/, each an import package."""
    found = {
        path.parts[1] for path in files() if path.parts[0] == "services" and len(path.parts) > 2
    }
    return sorted(found)


@cache
def _sources() -> tuple[Source, ...]:
    return tuple(Source.of(str(path), read(path)) for path in files() if _is_python(path))


def _is_python(path: PurePosixPath) -> bool:
    if path.suffix == ".py":
        return True
    first = read(path).partition("\n")[0] if path.parts[0] == "scripts" else ""
    return first.startswith("#!") and "python" in first


def _has_reason(line: str) -> bool:
    return len(line.partition(ALLOWED)[2].strip()) > 0


def _imported(nodes: tuple[ast.AST, ...]) -> dict[str, str]:
    return dict(
        pair
        for node in nodes
        if isinstance(node, ast.Import | ast.ImportFrom)
        for pair in _bindings(node)
    )


def _bindings(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            yield alias.asname or alias.name, f"{node.module or ''}.{alias.name}"
        elif alias.asname:
            yield alias.asname, alias.name
        else:
            top = alias.name.partition(".")[0]
            yield top, top
