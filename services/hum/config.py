"""`hum config`: look at the settings without starting anything."""

import os

import click
import orjson

from hum.output import talk
from nest.paths import Paths
from nest.settings import json_schema, load


@click.group()
def config() -> None:
    """Check the settings, or show what they may hold."""


@config.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(as_json: bool) -> None:
    """Read hum.json as a start would, and say everything that is wrong with it.

    Exit status 78 when it cannot be used.
    """
    paths = Paths.from_environment(os.environ)
    load(paths, os.environ)
    if as_json:
        click.echo(orjson.dumps({"ok": True, "path": str(paths.hum_json)}))
    else:
        there = "" if paths.hum_json.exists() else " (not there: the defaults hold)"
        talk(f"the settings can be used: {paths.hum_json}{there}")


@config.command()
def schema() -> None:
    """Print the JSON Schema of hum.json, for editors."""
    click.echo(orjson.dumps(json_schema(), option=orjson.OPT_INDENT_2))
