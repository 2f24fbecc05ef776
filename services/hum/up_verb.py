"""`hum up`, as far as it can be shown without what it needs to do its work."""

import click

_UP_HELP = """Start everything and wait until it is ready.

\b
Examples:
  hum up                      no file tools: no folder is named
  hum up --root ~/code        file tools for one folder
  hum up --foreground         for containers
"""


@click.command(help=_UP_HELP)
@click.option(
    "--root",
    "roots",
    multiple=True,
    metavar="DIR",
    help="A folder for the file tools, this time; DIR=ro for reading only. May be repeated.",
)
@click.option("--foreground", is_flag=True, help="Stay; for containers and service managers.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def up(*, roots: tuple[str, ...], foreground: bool, as_json: bool) -> None:
    """Start everything and wait until it is ready."""
    from hum.up import bring_up

    bring_up(roots=roots, foreground=foreground, as_json=as_json)
