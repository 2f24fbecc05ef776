"""`hum run` and `hum env`: clients that find hum by their usual variables. Nothing is written.

Some clients read no variable for the place of their service, or not only: `start_of` knows what
these take instead, as arguments or as a whole configuration in a variable. What a person gives
himself comes behind it and wins.
"""

import os
import shutil
from collections.abc import Mapping, Sequence

import orjson

from hum.bees import Address, address, read_bees, read_manifests
from hum.errors import absent
from hum.found import OWN_KEY
from nest.paths import Paths
from nest.settings import load
from nest.supervisor import Supervisor
from thrum.errors import LocalError


class NoClient(LocalError):
    """There is no such program."""


def client_environment(front: Address, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that point a client at `front`. A key that is set stays what it is."""
    places = {
        "OPENAI_BASE_URL": f"{front.url}/v1",
        "OPENAI_API_BASE": f"{front.url}/v1",
        "ANTHROPIC_BASE_URL": front.url,
        "OLLAMA_HOST": front.url,
        "OLLAMA_API_BASE": front.url,
    }
    return places | {name: environ.get(name) or OWN_KEY for name in _key_names(environ)}


def start_of(
    client: str, front: Address, environ: Mapping[str, str], models: Sequence[str]
) -> tuple[list[str], dict[str, str]]:
    """Arguments and variables beside the usual ones that point `client` at `front`."""
    if client == "codex":
        provider = (
            f'{{name="hum",base_url={_json(f"{front.url}/v1")},'
            f'env_key="OPENAI_API_KEY",wire_api="responses"}}'
        )
        return ["-c", 'model_provider="hum"', "-c", f"model_providers.hum={provider}"], {}
    if client == "opencode":
        return [], {"OPENCODE_CONFIG_CONTENT": _opencode(front, environ, models)}
    return [], {}


def _opencode(front: Address, environ: Mapping[str, str], models: Sequence[str]) -> str:
    """A provider for opencode, beside whatever the variable configures already."""
    given = environ.get("OPENCODE_CONFIG_CONTENT", "")
    try:
        config = orjson.loads(given or "{}")
    except orjson.JSONDecodeError:
        return given  # with comments, or broken: it is the client's to read
    if not isinstance(config, dict) or not isinstance(config.get("provider", {}), dict):
        return given
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "hum",
        "options": {"baseURL": f"{front.url}/v1", "apiKey": "{env:OPENAI_API_KEY}"},
        "models": {model: {"name": model} for model in models},
    }
    return _json({**config, "provider": {"hum": provider, **config.get("provider", {})}})


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def _models(paths: Paths) -> list[str]:
    """What the workers offer now."""
    offered = [manifest.get("models") for manifest in read_manifests(paths)]
    names = [name for models in offered if isinstance(models, list) for name in models]
    return list(dict.fromkeys(name for name in names if isinstance(name, str)))


def _key_names(environ: Mapping[str, str]) -> tuple[str, str]:
    """The variables that hold keys. Clients of Anthropic take either of two."""
    has_key = bool(environ.get("ANTHROPIC_API_KEY"))
    return "OPENAI_API_KEY", "ANTHROPIC_API_KEY" if has_key else "ANTHROPIC_AUTH_TOKEN"


def front_address(paths: Paths, environ: Mapping[str, str]) -> Address:
    """Where the front is, or will be. Raises `DaemonAbsent` when only a running one knows."""
    settings = load(paths, environ).front
    found = address(read_bees(paths).get("front"), settings.host, settings.port)
    if not found.port:
        raise absent("front.port is 0, so its port is known only while hum runs")
    return found


def variables(paths: Paths, environ: Mapping[str, str]) -> dict[str, str]:
    """What `hum env` prints: without a key that is set already, which stays secret."""
    found = client_environment(front_address(paths, environ), environ)
    return {
        name: value
        for name, value in found.items()
        if name not in _key_names(environ) or not environ.get(name)
    }


def pointed(paths: Paths, environ: Mapping[str, str]) -> dict[str, str]:
    """The same for programs: with the key that opens nothing, whatever is set."""
    found = client_environment(front_address(paths, environ), environ)
    return {**found, **dict.fromkeys(_key_names(environ), OWN_KEY)}


def start(
    client: str, arguments: Sequence[str], paths: Paths, environ: Mapping[str, str]
) -> tuple[str, list[str], dict[str, str]]:
    """The program behind `client`, its arguments, and the variables that it gets besides."""
    program = shutil.which(client)
    if program is None:
        raise NoClient(f"there is no program {client} on PATH", hint=f"install {client}")
    if not Supervisor(paths.supervisor_socket).is_there():
        raise absent(f"hum is not running, so {client} would have nobody to ask")
    front = front_address(paths, environ)
    first, more = start_of(os.path.basename(client), front, environ, _models(paths))
    return program, [client, *first, *arguments], {**client_environment(front, environ), **more}
