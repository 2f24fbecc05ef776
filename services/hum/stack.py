"""What would run: Orchfiles read from disk, compiled, and written where supervisord finds them.

Bundled files first (`orch.d` of a checkout, package data of a wheel), then the user's own.
`compile` changes nothing; `write` replaces what an earlier start left.
"""

import os
import shlex
import stat
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import orjson

import orch.core
from nest.paths import Paths
from nest.settings import Settings
from orch.core.merge import merge
from orch.core.orchfile import Orchfile, OrchfileRefused, parse
from orch.core.programs import Place, Program, compile_programs, render_master
from orch.core.services import Service, read_services
from thrum.errors import SettingsRefused

ORCHFILE_BYTES_MAX = 256 * 1024
"""Longest Orchfile read."""

ORCHFILES_MAX = 256
"""Most Orchfiles read from one directory."""

FILE_TOOLS = "humfs"
"""The service of the file tools, which `fs.instances` multiplies."""

NOTHING_ASSUMED: Mapping[Path, Orchfile | None] = MappingProxyType({})

ARG_PREFIX = "ORCH_ARG_"
"""`ORCH_ARG_X=y` in the environment replaces the default of `ARG X`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Everything that a start writes and waits for."""

    master: str
    programs: tuple[Program, ...]
    arguments: Mapping[str, str]
    """What the `ARG`s of the Orchfiles were given by the environment and by what was found."""
    origins: Mapping[str, str]
    """For each service the file that introduces it."""

    @property
    def services(self) -> tuple[Service, ...]:
        """Every service, also those that are not started."""
        return tuple(program.service for program in self.programs)

    @property
    def started(self) -> tuple[Service, ...]:
        """The services that a start starts."""
        return tuple(service for service in self.services if not service.disabled)

    @property
    def inherited(self) -> frozenset[str]:
        """Variables that some service takes over from the caller."""
        return frozenset(
            name
            for service in self.services
            for name, value in service.env.items()
            if value is None
        )


def bundled() -> Path:
    """Where the master file and the bundled Orchfiles are, in a wheel or in a checkout."""
    package = _package()
    in_wheel = package / "bundled"
    return in_wheel if in_wheel.is_dir() else package.parent.parent


def listener() -> Path:
    """The event listener's file."""
    return _package() / "listener.py"


def _package() -> Path:
    return Path(orch.core.__file__).resolve().parent.parent


def compile_stack(
    paths: Paths,
    settings: Settings,
    environ: Mapping[str, str],
    *,
    wanted: Mapping[str, bool],
    arguments: Mapping[str, str] | None = None,
    assuming: Mapping[Path, Orchfile | None] = NOTHING_ASSUMED,
) -> Stack:
    """Read and compile all Orchfiles; raises `SettingsRefused` with every mistake found.

    With the `arguments` of an earlier start it is compiled as then, whatever `environ` says now.
    `assuming` are files of the user's `orch.d` as they will be, None for one that goes.
    """
    place = Place(
        python=sys.executable,
        project=str(paths.state),
        logs=str(paths.logs),
        specs=str(paths.supervisor_programs),
        listener=str(listener()),
        mark=str(paths.supervisor),
    )
    supplied = {
        "PYTHON": shlex.quote(sys.executable),
        "ORCH_PROJECT": str(paths.state),
        "ORCH_DATA": str(paths.data),
        "ORCH_STATE_DIR": str(paths.state),
        "SIDECAR_URL": f"http://{settings.sidecar.host}:{settings.sidecar.port}",
    }
    overrides = _arguments(environ, wanted) if arguments is None else arguments
    files = read_orchfiles(paths, assuming=assuming)
    blocks = merge(files, supplied=supplied, overrides=overrides)
    services = read_services(blocks)
    origins = {block.name: block.at.file for block in blocks}
    further = tuple(_further(services, settings))
    origins |= {service.name: origins[FILE_TOOLS] for service in further}
    master = (bundled() / "supervisord.conf").read_text("utf-8")
    return Stack(
        master=render_master(master, place),
        programs=compile_programs((*services, *further), place),
        arguments=overrides,
        origins=origins,
    )


def _arguments(environ: Mapping[str, str], wanted: Mapping[str, bool]) -> dict[str, str]:
    """What the environment and what was found say about `ARG`s; the environment beats it."""
    found = {
        f"{kind.upper()}_DISABLED": "false" if is_wanted else "true"
        for kind, is_wanted in wanted.items()
    }
    named = {
        name.removeprefix(ARG_PREFIX): value
        for name, value in environ.items()
        if name.startswith(ARG_PREFIX)
    }
    return {**found, **named}


def read_orchfiles(
    paths: Paths, *, assuming: Mapping[Path, Orchfile | None] = NOTHING_ASSUMED
) -> list[Orchfile]:
    """Every Orchfile that counts: the bundled, the user's, then what was switched by hand.

    A switch of a service that is in none of the others is left out: its hive is gone.
    """
    files = [
        *_read_all(bundled() / "orch.d"),
        *_read_all(paths.orch_d, foreign=True, assuming=assuming),
    ]
    known = {block.name for file in files for block in file.blocks}
    if (switches := read_switches(paths)) is not None:
        there = tuple(block for block in switches.blocks if block.name in known)
        files.append(replace(switches, blocks=there))
    return files


def read_switches(paths: Paths) -> Orchfile | None:
    """What was switched on or off by hand; None when nothing ever was."""
    if not os.path.lexists(paths.hives_orch):
        return None
    return read_orchfile(paths.hives_orch, foreign=True)


def _further(services: tuple[Service, ...], settings: Settings) -> Iterator[Service]:
    """The services of `fs.instances`: each is as `humfs` is, with a name and a log of its own."""
    known = {service.name: service for service in services}
    first = known.get(FILE_TOOLS)
    for one in settings.fs.instances if first is not None else ():
        assert first is not None
        name = f"{FILE_TOOLS}-{one.name}"
        if name in known:
            raise SettingsRefused(
                f"an Orchfile has a service {name}, which fs.instances names too",
                hint="give the one in hum.json another name",
            )
        argv = (*first.argv, "--instance", one.name)
        yield replace(first, name=name, argv=argv, socket_ready=name, stdout="", stderr="")


def write_stack(stack: Stack, paths: Paths) -> None:
    """Put the compiled files in place of those of an earlier start.

    The directories exist and are private. A crash in between leaves a mixture that the next start
    replaces; nothing reads it meanwhile.
    """
    for old in paths.supervisor_programs.iterdir():
        old.unlink()
    for program in stack.programs:
        for name, content in program.files.items():
            (paths.supervisor_programs / name).write_bytes(content)
    paths.supervisor_conf.write_text(stack.master, "utf-8")
    paths.supervisor_arguments.write_bytes(orjson.dumps(stack.arguments))


def read_arguments(paths: Paths) -> dict[str, str] | None:
    """What the latest start gave the Orchfiles; None when nobody can tell."""
    try:
        found = orjson.loads(paths.supervisor_arguments.read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return None
    return {str(name): str(value) for name, value in found.items()}


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe that nobody writes must not hold us


def _read_all(
    directory: Path,
    *,
    foreign: bool = False,
    assuming: Mapping[Path, Orchfile | None] = NOTHING_ASSUMED,
) -> Iterator[Orchfile]:
    found = sorted({*directory.glob("*.orch"), *assuming})
    if len(found) > ORCHFILES_MAX:
        raise OrchfileRefused([f"{directory}: more than {ORCHFILES_MAX} files"])
    problems: list[str] = []
    for path in found:
        try:
            file = assuming[path] if path in assuming else read_orchfile(path, foreign=foreign)
            if file is not None:
                yield file
        except OrchfileRefused as refused:
            problems += refused.problems
    if problems:
        raise OrchfileRefused(problems)


def read_orchfile(path: Path, *, foreign: bool) -> Orchfile:
    """Read one file; raises `SettingsRefused` with every mistake of form in it."""
    return parse(str(path), _read(path, foreign=foreign))


def _read(path: Path, *, foreign: bool) -> str:
    """The text of one file; a `foreign` one is refused when another user could have changed it."""
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise OrchfileRefused([f"{path}: is no plain file"])
            content = file.read(ORCHFILE_BYTES_MAX + 1)
        if foreign and (
            status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or status.st_uid not in (0, os.geteuid())
        ):
            raise SettingsRefused(
                f"{path} says what runs, and other users can change it",
                hint=f"chmod go-w {path}",
            )
        if len(content) > ORCHFILE_BYTES_MAX:
            raise OrchfileRefused([f"{path}: longer than {ORCHFILE_BYTES_MAX} bytes"])
        return content.decode("utf-8")
    except OSError as error:
        raise OrchfileRefused([f"{path}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise OrchfileRefused([f"{path}: is no UTF-8 text"]) from error
