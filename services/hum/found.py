"""What this machine has that hum can use, found without being told.

Model services: by hum.json, by the variables that their own clients read, and an Ollama that
answers at its usual place. A key goes to its worker through a 0600 file; no command line and no
child's environment ever carries it.
"""

import http.client
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from nest.paths import Paths
from nest.private import replace_private
from nest.settings import (
    SERVICE_KINDS,
    ClaudeSettings,
    FurtherService,
    OllamaSettings,
    ServiceKind,
    ServiceSettings,
    Settings,
    claude_program,
    key_label,
)
from thrum.errors import SettingsRefused

OWN_KEY = "hum"
"""The key that clients of hum are given, as they insist on one; it opens no other service."""
PROBE_SECONDS = 0.3
"""How long an Ollama on this machine may take to say its version."""
VERSION_BYTES_MAX = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What there is of one kind of model service."""

    kind: ServiceKind
    wanted: bool
    """Whether its worker is started."""
    has_key: bool
    place: str
    """Its base URL."""
    key: str | None = field(default=None, repr=False)
    """A key from the environment, when hum.json names no file."""
    further: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    """The same for its further services, by the name under which the key is left."""


@dataclass(frozen=True, slots=True)
class Program:
    """Claude Code on this machine."""

    path: str | None
    """Where it is; None: nowhere."""
    wanted: bool
    """Whether its worker is started: only when the owner says so, whose account it works with."""


Probe = Callable[[str], bool]


def look(
    settings: Settings, environ: Mapping[str, str], *, probe: Probe | None = None
) -> dict[ServiceKind, Found]:
    """Look for every kind of service in `settings`, in `environ`, and at its usual place."""
    return {
        kind: _look(kind, settings.workers.of(kind), environ, probe or answers_as_ollama)
        for kind in SERVICE_KINDS
    }


def _look(
    kind: ServiceKind, chosen: ServiceSettings, environ: Mapping[str, str], probe: Probe
) -> Found:
    key = None if chosen.key_file else environ.get(chosen.key_env) or None
    if key == OWN_KEY:
        key = None
    has_key = bool(key or chosen.key_file)
    wanted = bool(chosen.base_url or has_key or chosen.services)
    if chosen.enabled is not None:
        wanted = chosen.enabled
    elif not wanted and isinstance(chosen, OllamaSettings):
        wanted = probe(chosen.upstream)
    return Found(
        kind=kind,
        wanted=wanted,
        has_key=has_key,
        place=chosen.upstream,
        key=key if wanted else None,
        further={
            key_label(kind, one): _key_of(one, environ) if wanted else None
            for one in chosen.services
        },
    )


def _key_of(service: FurtherService, environ: Mapping[str, str]) -> str | None:
    if service.key_file or not service.key_env:
        return None
    return environ.get(service.key_env) or None


def look_for_claude(settings: ClaudeSettings, environ: Mapping[str, str]) -> Program:
    """Look for Claude Code. Raises `SettingsRefused` when it is wanted and nowhere."""
    path = claude_program(settings, environ)
    if settings.enabled and path is None:
        raise SettingsRefused(
            "workers.claude.enabled is set, and Claude Code is nowhere",
            hint="install it, set workers.claude.path in hum.json, or take the setting out",
        )
    return Program(path, settings.enabled)


def wanted(found: Mapping[ServiceKind, Found], claude: Program) -> dict[str, bool]:
    """Which of the workers that nobody needs are started, by the beginning of their `ARG`."""
    services: dict[str, bool] = {kind: service.wanted for kind, service in found.items()}
    return {**services, "claude": claude.wanted}


def answers_as_ollama(base_url: str) -> bool:
    """Whether an Ollama answers there; hum's own front, which says so too, is not meant."""
    parts = urlsplit(base_url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", "/api/ps")
        answer = connection.getresponse()
        body = answer.read(VERSION_BYTES_MAX)
        return answer.status == 200 and b'"models"' in body and b'"format":"hum"' not in body
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def leave_keys(found: Mapping[ServiceKind, Found], paths: Paths) -> None:
    """Make each worker's key file say what was found this time; no file when nothing was."""
    for service in found.values():
        for label, key in {service.kind: service.key, **service.further}.items():
            path = paths.worker_key(label)
            if key is None:
                path.unlink(missing_ok=True)
            else:
                replace_private(path, key.encode())


def sentences(found: Mapping[ServiceKind, Found], claude: Program) -> list[str]:
    """What was found and, for what was not, the one line that adds it."""
    services = [_sentence(service) for service in found.values() if service.wanted]
    if claude.wanted:
        services.append(f"claude: {claude.path} (with the account it is logged in to)")
    first = "scout, which is no model"
    if not services:
        first = "scout only, which is no model; add one: export OPENAI_API_KEY=..., then hum up"
    if claude.path is not None and not claude.wanted:
        services.append(f"not used: {claude.path}; to use it, workers.claude.enabled in hum.json")
    return [first, *services]


def _sentence(service: Found) -> str:
    if service.has_key:
        return f"{service.kind}: {service.place} (with a key)"
    if service.kind == "ollama":
        return f"{service.kind}: {service.place}"
    variable = f"{service.kind.upper()}_API_KEY"
    return f"{service.kind}: {service.place} (without a key; if it wants one: {variable})"
