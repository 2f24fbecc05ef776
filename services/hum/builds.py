"""How a hive is built, told by a marker file in its folder. Pure: names in, commands out.

The first that is there decides: `build`, `pyproject.toml`, `Cargo.toml`, `package.json`, `go.mod`.
Every command writes below the hive's own version, and keeps its cache below ours. Without a marker
nothing is built.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

BUILD, PYTHON, CARGO, NODE, GO = "build", "pyproject.toml", "Cargo.toml", "package.json", "go.mod"
MARKERS = (BUILD, PYTHON, CARGO, NODE, GO)

# fmt: off
INHERITED = (
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
    "SSL_CERT_FILE", "PIP_INDEX_URL", "PIP_NO_INDEX", "PIP_FIND_LINKS", "GOPROXY", "RUSTUP_HOME",
    "CARGO_NET_OFFLINE", "npm_config_registry", "npm_config_offline",
)
# fmt: on
"""Variables of the caller that a build gets beside those of every service: no key is among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """Where one version of a hive is built, as absolute paths."""

    version: str
    """Its folder; what a service runs is below it."""
    source: str
    """A copy of the hive's own files, inside the version."""
    cache: str
    """What builds may keep between two of them."""
    python: str
    has_pip: bool
    """Whether pip is beside it; otherwise each environment gets its own, which takes longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What is done after the files were copied."""

    marker: str = ""
    commands: tuple[tuple[str, ...], ...] = ()
    """Run in the copy, one after another, until one fails."""
    programs: Mapping[str, str] = field(default_factory=dict)
    """Small programs that are written beside: by path, their text."""
    tool: str = ""
    """A program that has to be on PATH."""


def build_of(
    names: frozenset[str], *, hive: str, rooms: Rooms, entries: Mapping[str, str]
) -> Build:
    """How a folder with these file `names` is built.

    `entries` are what its package.json offers as programs: names, and files in the folder.
    """
    marker = next((name for name in MARKERS if name in names), "")
    if marker == BUILD:
        return Build(marker=marker, commands=(("bash", "build"),), tool="bash")
    if marker == PYTHON:
        return Build(marker=marker, commands=_python(rooms))
    if marker == CARGO:
        cargo = ("cargo", "install", "--path", rooms.source, "--root", rooms.version)
        return Build(marker=marker, commands=((*cargo, "--locked", "--force"),), tool="cargo")
    if marker == NODE:
        how = "ci" if "package-lock.json" in names else "install"
        return Build(
            marker=marker,
            commands=(
                ("npm", how, "--no-audit", "--no-fund"),
                ("npm", "run", "build", "--if-present"),
            ),
            programs={
                f"{rooms.version}/bin/{name}": _node(f"{rooms.source}/{file}")
                for name, file in (entries or {hive: "dist/index.js"}).items()
            },
            tool="npm",
        )
    if marker == GO:
        built = ("go", "build", "-o", f"{rooms.version}/bin/{hive}", ".")
        return Build(marker=marker, commands=(built,), tool="go")
    return Build()


def _python(rooms: Rooms) -> tuple[tuple[str, ...], ...]:
    own = f"{rooms.version}/bin/python"
    made = (rooms.python, "-m", "venv", *(("--without-pip",) if rooms.has_pip else ()))
    pip = (rooms.python, "-m", "pip", "--python", own) if rooms.has_pip else (own, "-m", "pip")
    return (*made, rooms.version), (*pip, "--disable-pip-version-check", "install", rooms.source)


def _node(file: str) -> str:
    import shlex

    return f'#!/bin/sh\nexec node {shlex.quote(file)} "$@"\n'


def caches(rooms: Rooms) -> dict[str, str]:
    """Variables that keep what a build stores out of the user's own folders."""
    return {
        "HIVE": rooms.version,
        "XDG_CACHE_HOME": rooms.cache,
        "PIP_CACHE_DIR": f"{rooms.cache}/pip",
        "npm_config_cache": f"{rooms.cache}/npm",
        "CARGO_HOME": f"{rooms.cache}/cargo",
        "CARGO_TARGET_DIR": f"{rooms.cache}/cargo-target",
        "GOPATH": f"{rooms.cache}/go",
        "GOCACHE": f"{rooms.cache}/go-build",
        "GOFLAGS": "-modcacherw",
    }
