"""Doing an install that was looked at, and undoing it. The caller holds the lock of a start."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from hum.applying import carry_out, compiled, planned
from hum.builds import INHERITED, caches
from hum.install import Installation, NotInstalled, digest, read_record, record_of
from hum.ready import Unready
from hum.switches import switched, write_switches
from nest.paths import PRIVATE_DIR_MODE, Paths, ensure_private
from nest.private import replace_private
from nest.supervisor import Supervisor
from orch.core.environment import allowed
from thrum.errors import LocalError

BUILD_SECONDS = 1800
"""How long one command of a build may take."""
LINES_SHOWN = 15
"""Of what a failed build printed."""


class BuildFailed(LocalError):
    """A command of a build failed. What ran before goes on."""


class NotTaken(LocalError):
    """The new version did not get ready, and the one before is there again."""


def install(wanted: Installation, paths: Paths, environ: Mapping[str, str], *, at_ms: int) -> None:
    """Build the new version, switch to it, and remove the one before.

    Raises `BuildFailed` or `NotTaken` with everything as it was.
    """
    for directory in (paths.data, paths.hives, paths.hive(wanted.hive), paths.hive_cache):
        ensure_private(directory)
    _sweep(wanted, paths)
    version = Path(wanted.rooms.version)
    version.mkdir(mode=PRIVATE_DIR_MODE)
    try:
        _copy(wanted)
        _build(wanted, paths, environ)
    except (OSError, LocalError):
        shutil.rmtree(version, ignore_errors=True)
        raise
    _switch(wanted, paths, record_of(wanted, paths, at_ms=at_ms))


def _sweep(wanted: Installation, paths: Paths) -> None:
    """Remove versions that no record names: an install was cut short."""
    kept = {wanted.earlier["version"]} if wanted.earlier else set()
    for one in paths.hive(wanted.hive).iterdir():
        if one.name.isdecimal() and int(one.name) not in kept:
            shutil.rmtree(one)


def _copy(wanted: Installation) -> None:
    for name in wanted.files:
        place = Path(wanted.rooms.source) / name
        place.parent.mkdir(mode=PRIVATE_DIR_MODE, parents=True, exist_ok=True)
        source = wanted.origin.folder / name
        shutil.copyfile(source, place, follow_symlinks=False)
        place.chmod(0o700 if os.access(source, os.X_OK) else 0o600)


def _build(wanted: Installation, paths: Paths, environ: Mapping[str, str]) -> None:
    variables = {**allowed(environ, INHERITED), **caches(wanted.rooms)}
    log = paths.hive_build_log(wanted.hive)
    with open(log, "wb", opener=_private) as output:
        for command in wanted.build.commands:
            output.write(f"$ {' '.join(command)}\n".encode())
            output.flush()
            try:
                done = subprocess.run(
                    command,
                    cwd=wanted.rooms.source,
                    env=variables,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    timeout=BUILD_SECONDS,
                    check=False,
                )
                why = f"exits with {done.returncode}" if done.returncode else ""
            except (OSError, subprocess.TimeoutExpired) as error:
                why = f"fails: {error}"
            if why:
                raise BuildFailed(
                    f"{' '.join(command)} {why}. It ended with:{_tail(log)}",
                    hint=f"what ran before goes on; mend it, then again; all it said: {log}",
                )
    for name, text in wanted.build.programs.items():
        program = Path(name)
        program.parent.mkdir(mode=PRIVATE_DIR_MODE, exist_ok=True)
        program.write_text(text, "utf-8")
        program.chmod(0o700)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def _tail(log: Path) -> str:
    lines = log.read_text("utf-8", errors="replace").splitlines()[-LINES_SHOWN:]
    return "".join(f"\n    {line}" for line in lines)


def _switch(wanted: Installation, paths: Paths, record: dict[str, Any]) -> None:
    """Put the new Orchfile in the place of the old one; back again when it does not get ready."""
    place = paths.hive_orch(wanted.hive)
    place.parent.mkdir(mode=PRIVATE_DIR_MODE, parents=True, exist_ok=True)
    before = place.read_bytes() if place.exists() else None
    names = {*wanted.services, *(wanted.earlier or {}).get("services", ())}
    earlier = wanted.earlier
    old = [path for path in earlier["paths"] if path not in record["paths"]] if earlier else []
    _write_record(paths, {**record, "paths": [*record["paths"], *old]})
    replace_private(place, wanted.orchfile.encode())
    late = follow(paths, names)
    if any(not one.optional for one in late):
        if before is None:
            place.unlink()
        else:
            replace_private(place, before)
        follow(paths, names)
        if earlier is not None:
            _write_record(paths, earlier)
        else:
            paths.hive_record(wanted.hive).unlink()
        shutil.rmtree(wanted.rooms.version)
        reasons = "; ".join(f"{one.service}: {one.reason}" for one in late)
        raise NotTaken(
            f"the new version of {wanted.hive} is not ready, and is gone again: {reasons}",
            hint=f"hum logs {late[-1].service}",
        )
    for path in old:
        remove(path, paths, wanted.hive)
    _write_record(paths, record)


def follow(paths: Paths, names: set[str]) -> Sequence[Unready]:
    """Have what runs follow the Orchfiles of `names`; nothing while hum is down."""
    if not Supervisor(paths.supervisor_socket).is_there():
        return ()
    stack = compiled(paths, os.environ)
    return carry_out(planned(stack, paths, only=names), stack, paths, only=names)


def _write_record(paths: Paths, record: Mapping[str, Any]) -> None:
    content = orjson.dumps(record, option=orjson.OPT_INDENT_2)
    replace_private(paths.hive_record(str(record["hive"])), content)


def remove(path: str, paths: Paths, hive: str) -> None:
    """Remove one recorded path; only what an install may have made is ever touched."""
    place = Path(path)
    if place == paths.hive_orch(hive) or place.parent == paths.hive(hive):
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)


def recorded(paths: Paths, hive: str, *, even_changed: bool) -> dict[str, Any]:
    """The record of an installed hive; refused for one whose Orchfile was edited."""
    record = read_record(paths, hive)
    if record is None:
        raise NotInstalled(
            f"{hive} was not installed by hum hive install",
            hint=f"hum hive show {hive} names its file; hum hive disable {hive} switches it off",
        )
    place = paths.hive_orch(hive)
    is_ours = not place.exists() or digest(place.read_text("utf-8")) == record["orchfile_sha256"]
    if not is_ours and not even_changed:
        raise LocalError(
            f"{place} was edited since, and would be removed with the rest",
            hint=f"keep a copy of it, then: hum hive uninstall {hive} --yes",
        )
    return record


def uninstall(record: Mapping[str, Any], paths: Paths) -> list[str]:
    """Remove what `record` names and nothing else; return what others left in the hive's folder."""
    hive = str(record["hive"])
    names = set(record["services"])
    if paths.hives_orch.exists():
        write_switches(paths, switched(paths, dict.fromkeys(names)))
    ours = [path for path in record["paths"] if path != str(paths.hive_record(hive))]
    remove(str(paths.hive_orch(hive)), paths, hive)
    follow(paths, names)
    for path in (*ours, str(paths.hive_record(hive))):  # the record last: a crash can go on
        remove(path, paths, hive)
    left = sorted(str(path) for path in paths.hive(hive).iterdir())
    if not left:
        paths.hive(hive).rmdir()
    return left
