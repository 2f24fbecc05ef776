"""What this machine has that hum can use, found without being told.

Today: a model service of the OpenAI dialect, by hum.json or by the usual two variables. Its key
goes to the worker through a 0600 file; no command line and no child's environment ever carries it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nest.paths import Paths
from nest.private import replace_private
from nest.settings import Settings

OWN_KEY = "hum"
"""The key that clients of hum are given, as they insist on one; it opens no other service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Openai:
    """What there is of a service of the OpenAI dialect."""

    wanted: bool
    """Whether its worker is started."""
    has_key: bool
    key: str | None = field(default=None, repr=False)
    """A key from the environment, when hum.json names no file."""


def openai(settings: Settings, environ: Mapping[str, str]) -> Openai:
    """Look for a service in `settings` and a key in `environ`."""
    chosen = settings.workers.openai
    key = None if chosen.key_file else environ.get(chosen.key_env) or None
    if key == OWN_KEY:
        key = None
    has_key = bool(key or chosen.key_file)
    configured = bool(chosen.base_url or has_key)
    wanted = configured if chosen.enabled is None else chosen.enabled
    return Openai(wanted=wanted, has_key=has_key, key=key if wanted else None)


def leave_key(openai: Openai, paths: Paths) -> None:
    """Make the worker's key file say what was found this time; no file when nothing was."""
    path = paths.worker_key("openai")
    if openai.key is None:
        path.unlink(missing_ok=True)
    else:
        replace_private(path, openai.key.encode())


def sentence(openai: Openai, base_url: str | None) -> str:
    """What was found and, for what was not, the one line that adds it."""
    if not openai.wanted:
        return "scout only, which is no model; add one: export OPENAI_API_KEY=..., then hum up"
    key = "with a key" if openai.has_key else "without a key; if it wants one: OPENAI_API_KEY"
    return f"scout, and {base_url} ({key})"
