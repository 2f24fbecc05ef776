"""Installing a hive from a folder: looked at first, built beside, switched at once, or undone.

A version is a folder of its own, `$XDG_DATA_HOME/hum/hives/<hive>/<number>`: a copy of the hive's
files in `source`, and what its build made. The Orchfile in `orch.d` names the version, so that
replacing it is the switch. Until then the version before goes on; it is removed once the new one is
ready. A crash leaves a folder that no record names, which the next install removes.
"""

import hashlib
import os
import shutil
import stat
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

from hum.applying import compiled
from hum.builds import NODE, Build, Rooms, build_of
from hum.stack import read_orchfile, read_orchfiles
from nest.paths import Paths
from orch.core.orchfile import OrchfileRefused, parse
from thrum.errors import LocalError, SettingsRefused

ORCHFILE = "Orchfile"
FILES_MAX = 20_000
"""Files of one hive that are copied."""
BYTES_MAX = 512 * 1024 * 1024
"""Bytes of them."""
PACKAGE_BYTES_MAX = 1024 * 1024
RECORD_BYTES_MAX = 1024 * 1024
LEFT_OUT = frozenset({".git", "node_modules", "target", ".venv", "venv", "__pycache__"})
"""Folders that are not copied: a build makes them anew."""
HOME_BIN = "${HOME}/.local/bin/"
"""Where hives of other systems put their programs; here they stay with the hive."""


class NotInstalled(LocalError):
    """Nothing was installed under this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a hive comes from."""

    folder: Path
    url: str = ""
    commit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """An install that was looked at and may happen."""

    hive: str
    services: tuple[str, ...]
    origin: Origin
    files: tuple[str, ...]
    """Of the hive's folder, relative to it."""
    rooms: Rooms
    build: Build
    orchfile: str
    """The text that goes to `orch.d`."""
    number: int
    earlier: Mapping[str, Any] | None
    """The record of the version that is there."""


def prepare(origin: Origin, paths: Paths, environ: Mapping[str, str]) -> Installation:
    """Look at everything that an install needs; changes nothing, raises when it cannot be."""
    text = _text(origin.folder / ORCHFILE)
    blocks = parse(str(origin.folder / ORCHFILE), text).blocks
    if not blocks:
        raise OrchfileRefused([f"{origin.folder / ORCHFILE}: has no SERVICE"])
    hive = blocks[0].name
    earlier = read_record(paths, hive)
    if earlier is None and os.path.lexists(paths.hive_orch(hive)):
        raise SettingsRefused(
            f"{paths.hive_orch(hive)} is your own, and would be replaced",
            hint="move it away, or give the SERVICE of this hive another name",
        )
    number = 1 + max((earlier or {}).get("version", 0), *_numbers(paths.hive(hive)), 0)
    version = str(paths.hive(hive) / str(number))
    rooms = Rooms(
        version=version,
        source=f"{version}/source",
        cache=str(paths.hive_cache),
        python=sys.executable,
        has_pip=find_spec("pip") is not None,
    )
    services = tuple(block.name for block in blocks)
    files = tuple(sorted(_files(origin.folder)))
    names = frozenset(name for name in files if "/" not in name)
    entries = _entries(origin.folder, hive) if NODE in names else {}
    build = build_of(names, hive=hive, rooms=rooms, entries=entries)
    if build.tool and shutil.which(build.tool, path=environ.get("PATH")) is None:
        raise LocalError(
            f"{build.marker} is built with {build.tool}, which is not on PATH",
            hint=f"install {build.tool}, then again: hum hive install {origin.folder}",
        )
    rendered = _rendered(text, origin, version)
    place = paths.hive_orch(hive)
    _require_new(services, place, paths)
    compiled(paths, environ, assuming={place: parse(str(place), rendered)})
    return Installation(
        hive=hive,
        services=services,
        origin=origin,
        files=files,
        rooms=rooms,
        build=build,
        orchfile=rendered,
        number=number,
        earlier=earlier,
    )


def _text(path: Path) -> str:
    if not path.exists():
        raise SettingsRefused(
            f"{path.parent} has no {ORCHFILE}, so it is no hive",
            hint=f"write one into it: SERVICE, then RUN; then: hum hive check {path.parent}",
        )
    read_orchfile(path, foreign=False)  # its size, its form, and that it is a plain file
    return path.read_text("utf-8")


def _rendered(text: str, origin: Origin, version: str) -> str:
    """The Orchfile as it is installed: each service knows where its version is."""
    lines = [f"# Installed by hum hive install from {origin.url or origin.folder}"]
    for line in text.split("\n"):
        lines.append(line.replace(HOME_BIN, "${HIVE}/bin/"))
        if line.strip().startswith("SERVICE "):
            lines.append(f"ENV HIVE={version}")
    return "\n".join(lines)


def _require_new(services: tuple[str, ...], place: Path, paths: Paths) -> None:
    """Refuse services that another Orchfile has: the hive would lie over them."""
    for file in read_orchfiles(paths, assuming={place: None}):
        for block in file.blocks:
            if block.name in services and Path(file.file) != paths.hives_orch:
                raise SettingsRefused(
                    f"{file.file} has a service {block.name} already",
                    hint=f"give it another name in the {ORCHFILE} of this hive",
                )


def _files(folder: Path) -> Iterator[str]:
    """Every file to copy; raises for what cannot be, or is too much."""
    count = size = 0
    for directory, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - LEFT_OUT)
        links = [name for name in folders if os.path.islink(os.path.join(directory, name))]
        for name in (*names, *links):
            path = os.path.join(directory, name)
            status = os.lstat(path)
            if not stat.S_ISREG(status.st_mode):
                raise SettingsRefused(
                    f"{path} is no plain file, and a hive is copied file by file",
                    hint="leave it out of the hive's folder",
                )
            count, size = count + 1, size + status.st_size
            if count > FILES_MAX or size > BYTES_MAX:
                raise SettingsRefused(
                    f"{folder} is more than {FILES_MAX} files or {BYTES_MAX >> 20} MiB",
                    hint="name the hive's own folder, without what a build makes",
                )
            yield os.path.relpath(path, folder)


def _entries(folder: Path, hive: str) -> dict[str, str]:
    """The programs that a package.json offers: by name, their files."""
    with (folder / NODE).open("rb") as file:
        content = file.read(PACKAGE_BYTES_MAX)
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise SettingsRefused(f"{folder / NODE} is no JSON: {error}", hint="mend it") from error
    offered = found.get("bin") if isinstance(found, dict) else None
    if isinstance(offered, str):
        return {hive: offered}
    if isinstance(offered, dict):
        return {str(name): str(file) for name, file in offered.items() if "/" not in name}
    main = found.get("main") if isinstance(found, dict) else None
    return {hive: main} if isinstance(main, str) else {}


def _numbers(folder: Path) -> list[int]:
    if not folder.is_dir():
        return []
    return [int(one.name) for one in folder.iterdir() if one.name.isdecimal()]


def read_record(paths: Paths, hive: str) -> dict[str, Any] | None:
    """What was recorded when `hive` was installed; None when it was not."""
    try:
        with paths.hive_record(hive).open("rb") as file:
            found = orjson.loads(file.read(RECORD_BYTES_MAX))
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("version"), int) else None


def record_of(wanted: Installation, paths: Paths, *, at_ms: int) -> dict[str, Any]:
    """What is written down about an install; `paths` in it are all that it made."""
    return {
        "hive": wanted.hive,
        "version": wanted.number,
        "services": list(wanted.services),
        "from": wanted.origin.url or str(wanted.origin.folder),
        "commit": wanted.origin.commit or None,
        "marker": wanted.build.marker or None,
        "commands": [list(command) for command in wanted.build.commands],
        "installed_at_ms": at_ms,
        "orchfile_sha256": digest(wanted.orchfile),
        "paths": [
            str(paths.hive_orch(wanted.hive)),
            wanted.rooms.version,
            str(paths.hive_build_log(wanted.hive)),
            str(paths.hive_record(wanted.hive)),
        ],
    }


def digest(text: str) -> str:
    """How an Orchfile is known again."""
    return hashlib.sha256(text.encode()).hexdigest()
