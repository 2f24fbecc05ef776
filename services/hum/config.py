"""`hum config`: look at the settings without starting anything."""

import os

import click


@click.group()
def config() -> None:
    """Check the settings, or show what they may hold."""


@config.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(*, as_json: bool) -> None:
    """Read hum.json as a start would, and say everything that is wrong with it.

    Exit status 78 when it cannot be used.
    """
    from hum.output import data_json, talk
    from nest.paths import Paths
    from nest.settings import load

    paths = Paths.from_environment(os.environ)
    load(paths, os.environ)
    if as_json:
        data_json({"ok": True, "path": str(paths.hum_json)})
    else:
        there = "" if paths.hum_json.exists() else " (not there: the defaults hold)"
        talk(f"the settings can be used: {paths.hum_json}{there}")


@config.command()
@click.option("--json", "as_json", is_flag=True, help="On one line.")
def schema(*, as_json: bool) -> None:
    """Print the JSON Schema of hum.json, for editors."""
    import orjson

    from hum.output import data
    from nest.settings import json_schema

    data(orjson.dumps(json_schema(), option=None if as_json else orjson.OPT_INDENT_2).decode())
