"""Reading hum.json and the environment of this run; everything wrong is told at once."""

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import orjson

from nest.logs import register_secret
from nest.paths import Paths
from nest.private import read_private
from nest.settings.model import (
    OLLAMA_PORT,
    FrontSettings,
    FsInstance,
    FurtherService,
    LogLevel,
    Root,
    ServiceKind,
    ServiceSettings,
    Settings,
    is_base_url,
    is_loopback,
)
from nest.settings.schema import Text, Violation, decode
from thrum.errors import SettingsRefused

HUM_JSON_BYTES_MAX = 1024 * 1024
"""Longest hum.json read."""
EVERY_HOST = {"0.0.0.0", "::"}  # noqa: S104 - compared with, not bound to
FS_INSTANCES_MAX = 16
"""Further processes of the file tools: each takes memory for itself."""
SERVICE_KINDS: tuple[ServiceKind, ...] = ("openai", "anthropic", "ollama")
PLACES: Mapping[ServiceKind, str] = {
    "openai": "OPENAI_BASE_URL",
    "anthropic": "ANTHROPIC_BASE_URL",
    "ollama": "OLLAMA_HOST",
}
"""Where each kind of service is, by the variable that its own clients read."""
ENVIRONMENT_NAMES = ("HUM_ROOTS", "HUM_LOG_LEVEL", *PLACES.values())
"""What a supervisor passes on, so that services read the same settings. No secret is here."""


def load(paths: Paths, environ: Mapping[str, str], *, instead: object = None) -> Settings:
    """Read hum.json and the environment; a missing file means all defaults.

    `instead` is what the file would hold, to judge it before it is written. Raises
    `SettingsRefused` with every violation, one on each line.
    """
    content = read_file(paths.hum_json) if instead is None else instead
    settings, in_file = decode(Settings, content)
    settings = settings or Settings()
    in_file += tuple(
        Violation(f"workers.{kind}.baseUrl", "hum's own front", "another service")
        for kind in SERVICE_KINDS
        if _is_own_front(settings.workers.of(kind).base_url, settings.front)
    )
    for kind in SERVICE_KINDS:
        in_file += _wrong_offers(f"workers.{kind}", settings.workers.of(kind))
    in_file += _wrong_instances(settings.fs.instances)
    in_file += _shared_ports(settings)
    roots, in_roots = _environment_roots(environ.get("HUM_ROOTS", ""))
    if settings.humd.thehum.is_bound_too_small:
        least = 4 * settings.humd.thehum.segment_bytes
        found = settings.humd.thehum.bytes_max
        in_file += (Violation("humd.thehum.maxBytes", str(found), f"at least {least}"),)
    anchor = settings.humd.thehum.anchor
    in_file += tuple(
        Violation(f"humd.thehum.anchor.{name}", "nothing", f"a value, for {anchor.backend}")
        for name in anchor.missing
    )
    overrides, in_environment = decode(_Overrides, _overrides(environ, settings.front))
    violations = [f"{paths.hum_json}: {violation}" for violation in in_file]
    violations += [f"environment: {violation}" for violation in (*in_roots, *in_environment)]
    if violations or overrides is None:
        raise SettingsRefused(
            "settings cannot be used:\n" + "\n".join(f"  {line}" for line in violations),
            hint=f"edit {paths.hum_json}; then: hum config check",
        )
    return _resolved(settings, overrides, roots, paths)


def service_key(
    kind: ServiceKind,
    settings: ServiceSettings | FurtherService,
    paths: Paths,
    environ: Mapping[str, str],
) -> str | None:
    """The key of a model service, or None: from `keyFile`, else the variable, else `hum up`.

    `hum up` leaves a key it found in `paths.worker_key(kind)`, so that no child needs it in its
    environment. The key never shows in this process's log. Raises `SettingsRefused` when a named
    file is missing or empty, or when others may read it.
    """
    label = key_label(kind, settings)
    if settings.key_file is not None:
        key = _key_in(Path(settings.key_file))
        if not key:
            raise SettingsRefused(
                f"workers.{label}.keyFile: {settings.key_file} is missing or empty",
                hint=f"write the key into it and: chmod 600 {settings.key_file}",
            )
    else:
        key = environ.get(settings.key_env or "", "").strip() or _key_in(paths.worker_key(label))
    register_secret(key)
    return key or None


def key_label(kind: ServiceKind, settings: ServiceSettings | FurtherService) -> str:
    """The name under which `hum up` leaves the key of a service."""
    return f"{kind}.{settings.name}" if isinstance(settings, FurtherService) else kind


def _wrong_offers(section: str, settings: ServiceSettings) -> tuple[Violation, ...]:
    """What is wrong with further services and aliases beside the values themselves."""
    found: list[Violation] = []
    seen: set[str] = set()
    for at, service in enumerate(settings.services):
        place = f"{section}.services[{at}]"
        if service.base_url is None:
            found.append(Violation(f"{place}.baseUrl", "nothing", "where the service is"))
        if service.name in seen:
            found.append(Violation(f"{place}.name", service.name, "a name of its own"))
        seen.add(service.name)
    seen.clear()
    for at, alias in enumerate(settings.aliases):
        place = f"{section}.aliases[{at}]"
        if not alias.models:
            found.append(Violation(f"{place}.models", "nothing", "one model or more"))
        if alias.name in seen:
            found.append(Violation(f"{place}.name", alias.name, "a name of its own"))
        seen.add(alias.name)
    return tuple(found)


def _wrong_instances(instances: Sequence[FsInstance]) -> tuple[Violation, ...]:
    found: list[Violation] = []
    names = [one.name for one in instances]
    if len(names) > FS_INSTANCES_MAX:
        wanted = f"at most {FS_INSTANCES_MAX}"
        found.append(Violation("fs.instances", f"{len(names)} of them", wanted))
    for at, name in enumerate(names):
        if name in names[:at]:
            found.append(Violation(f"fs.instances[{at}].name", name, "a name of its own"))
    return tuple(found)


def _shared_ports(settings: Settings) -> tuple[Violation, ...]:
    """A port of the sidecar that the front has too, where their hosts meet.

    `front.ollamaPort` may be `front.port`: it is left out where that is taken.
    """
    front, sidecar = settings.front, settings.sidecar
    hosts = {"127.0.0.1" if host == "localhost" else host for host in (front.host, sidecar.host)}
    named = {front.ollama_port: "front.ollamaPort", front.port: "front.port"}
    name = named.get(sidecar.port) if sidecar.port else None
    if name is None or (len(hosts) > 1 and not hosts & EVERY_HOST):
        return ()
    return (Violation("sidecar.port", f"{sidecar.port}, which is {name} too", "another port"),)


_Place = Annotated[
    str, Text(r"https?://[^\s?#]+", "http:// or https://", check=is_base_url, secret=True)
]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Overrides:
    """Environment variables that stand for a setting, checked like the setting."""

    log_level: LogLevel | None = field(default=None, metadata={"json": "HUM_LOG_LEVEL"})
    openai: _Place | None = field(default=None, metadata={"json": "OPENAI_BASE_URL"})
    anthropic: _Place | None = field(default=None, metadata={"json": "ANTHROPIC_BASE_URL"})
    ollama: _Place | None = field(default=None, metadata={"json": "OLLAMA_HOST"})


def _overrides(environ: Mapping[str, str], front: FrontSettings) -> dict[str, str]:
    names = ("HUM_LOG_LEVEL", *PLACES.values())
    given = {name: environ[name] for name in names if environ.get(name)}
    if "OLLAMA_HOST" in given:
        given["OLLAMA_HOST"] = _ollama_url(given["OLLAMA_HOST"])
    for name in PLACES.values():
        if _is_own_front(given.get(name), front):
            # That is how clients find hum; a worker that followed it would ask itself.
            del given[name]
    return given


def _ollama_url(host: str) -> str:
    """`OLLAMA_HOST` as its own clients read it: scheme and port may be left out."""
    url = host if "://" in host else f"http://{host}"
    try:
        parts = urlsplit(url)
        is_bare = parts.port is None and parts.scheme == "http" and bool(parts.hostname)
    except ValueError:
        return url
    return f"{url.rstrip('/')}:{OLLAMA_PORT}" if is_bare and not parts.path.strip("/") else url


def _resolved(
    settings: Settings, overrides: _Overrides, roots: Sequence[Root], paths: Paths
) -> Settings:
    """Apply the environment and make every path absolute."""
    denied = [paths.expand(text) for text in settings.fs.denied]
    denied += [own for own in (paths.config, paths.state) if own not in denied]
    every = (*settings.fs.roots, *roots)
    claude = settings.workers.claude
    services = {
        kind: _placed(settings.workers.of(kind), getattr(overrides, kind), paths)
        for kind in SERVICE_KINDS
    }
    return replace(
        settings,
        log_level=overrides.log_level or settings.log_level,
        fs=replace(
            settings.fs,
            roots=_absolute(every, paths),
            denied=tuple(map(str, denied)),
            instances=tuple(
                replace(
                    one,
                    roots=_absolute(one.roots, paths),
                    denied=tuple(str(paths.expand(text)) for text in one.denied),
                )
                for one in settings.fs.instances
            ),
        ),
        workers=replace(
            settings.workers,
            **services,  # type: ignore[arg-type] # each its own
            claude=replace(claude, path=claude.path and str(paths.expand(claude.path))),
        ),
    )


def _absolute(roots: Sequence[Root], paths: Paths) -> tuple[Root, ...]:
    return tuple(replace(root, path=str(paths.expand(root.path))) for root in roots)


def _placed(service: ServiceSettings, place: str | None, paths: Paths) -> ServiceSettings:
    """Where a service is and its key's file, the file's own words before the environment's."""
    further = tuple(
        replace(one, key_file=one.key_file and str(paths.expand(one.key_file)))
        for one in service.services
    )
    key_file = service.key_file and str(paths.expand(service.key_file))
    place = service.base_url or place
    return replace(service, base_url=place, key_file=key_file, services=further)


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe that nobody writes must not hold us


def read_file(path: Path) -> object:
    """Decode the file; `{}` when there is none."""
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise SettingsRefused(f"{path} is no plain file", hint=f"ls -l {path}")
            content = file.read(HUM_JSON_BYTES_MAX + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingsRefused(
            f"{path} cannot be read: {error.strerror}", hint=f"ls -l {path}"
        ) from error
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise SettingsRefused(
            f"{path} can be changed by other users, who could let themselves in",
            hint=f"chmod go-w {path}",
        )
    if len(content) > HUM_JSON_BYTES_MAX:
        raise SettingsRefused(
            f"{path} is longer than {HUM_JSON_BYTES_MAX} bytes", hint=f"edit {path}"
        )
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise SettingsRefused(
            f"{path} is no JSON: {error.msg} at line {error.lineno}, column {error.colno}",
            hint=f"edit {path}; then: hum config check",
        ) from error


def _environment_roots(text: str) -> tuple[list[Root], list[Violation]]:
    roots: list[Root] = []
    found: list[Violation] = []
    for at, entry in enumerate(filter(None, text.split(os.pathsep))):
        path, mode = entry, "rw"
        if entry.endswith(("=ro", "=rw")):
            path, mode = entry[:-3], entry[-2:]
        root, wrong = decode(Root, {"path": path, "mode": mode})
        found += [replace(violation, path=f"HUM_ROOTS[{at}]") for violation in wrong]
        if root is not None:
            roots.append(root)
    return roots, found


def _is_own_front(url: str | None, front: FrontSettings) -> bool:
    if not url:
        return False
    try:
        parts = urlsplit(url)
        return parts.port in (front.port, front.ollama_port) and is_loopback(parts.hostname or "")
    except ValueError:
        return False


def _key_in(path: Path) -> str:
    """The one line of a private file; empty when there is no file."""
    try:
        return read_private(path).decode().strip()
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise SettingsRefused(
            f"{path} is no text", hint=f"write the key on one line into it: {path}"
        ) from error
