"""`hum run` and `hum env`."""

import os

import click

_ENV_HELP = """Print what points a client at hum.

\b
Example:
  eval "$(hum env)"
"""


@click.command(help=_ENV_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def env(*, as_json: bool) -> None:
    """Print what points a client at hum."""
    import shlex

    from hum.clients import pointed, variables
    from hum.output import data, data_json
    from nest.paths import Paths

    paths = Paths.from_environment(os.environ)
    if as_json:
        data_json(pointed(paths, os.environ))
        return
    for name, value in variables(paths, os.environ).items():
        data(f"export {name}={shlex.quote(value)}")


_RUN_HELP = """Start CLIENT with ARGUMENTS, already pointed at hum. Nothing is left behind.

What it prints is its own, and so is its exit status; --json, before CLIENT, starts nothing and
prints what would be started.

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
@click.option("--json", "as_json", is_flag=True, help="Print what would be started, and do not.")
def run(*, client: str, arguments: tuple[str, ...], as_json: bool) -> None:
    """Start CLIENT with ARGUMENTS, already pointed at hum. Nothing is left behind."""
    from hum.clients import pointed, start
    from hum.output import data_json
    from nest.paths import Paths

    paths = Paths.from_environment(os.environ)
    program, argv, variables = start(client, arguments, paths, os.environ)
    if as_json:
        shown = {**variables, **pointed(paths, os.environ)}  # no key of theirs
        data_json({"program": program, "argv": argv, "environment": shown})
        return
    os.execve(program, argv, {**os.environ, **variables})  # noqa: S606 - it becomes the client
