"""`hum run` and `hum env`: clients that find hum by their usual variables. Nothing is written."""

import os
import shlex
import shutil
from collections.abc import Mapping

import click

from hum.bees import Address, address, read_bees
from hum.errors import absent
from hum.found import OWN_KEY
from hum.output import data, data_json
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
        "ANTHROPIC_BASE_URL": front.url,
        "OLLAMA_HOST": front.url,
    }
    return places | {name: environ.get(name) or OWN_KEY for name in _key_names(environ)}


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


_ENV_HELP = """Print what points a client at hum.

\b
Example:
  eval "$(hum env)"
"""


@click.command(help=_ENV_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def env(*, as_json: bool) -> None:
    """Print what points a client at hum."""
    paths = Paths.from_environment(os.environ)
    variables = client_environment(front_address(paths, os.environ), os.environ)
    keys = _key_names(os.environ)
    if as_json:
        data_json({**variables, **dict.fromkeys(keys, OWN_KEY)})
        return
    for name in keys:
        if os.environ.get(name):
            del variables[name]  # it is set where this will be evaluated, and stays secret
    for name, value in variables.items():
        data(f"export {name}={shlex.quote(value)}")


_RUN_HELP = """Start CLIENT with ARGUMENTS, already pointed at hum. Nothing is left behind.

\b
Example:
  hum run opencode
"""


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    help=_RUN_HELP,
)
@click.argument("client")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(*, client: str, arguments: tuple[str, ...]) -> None:
    """Start CLIENT with ARGUMENTS, already pointed at hum. Nothing is left behind."""
    paths = Paths.from_environment(os.environ)
    program = shutil.which(client)
    if program is None:
        raise NoClient(f"there is no program {client} on PATH", hint=f"install {client}")
    if not Supervisor(paths.supervisor_socket).is_there():
        raise absent(f"hum is not running, so {client} would have nobody to ask")
    environ = {**os.environ, **client_environment(front_address(paths, os.environ), os.environ)}
    os.execve(program, [client, *arguments], environ)  # noqa: S606 - it becomes the client
