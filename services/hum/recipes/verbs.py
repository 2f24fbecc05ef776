"""`hum recipes`: list them, show one, lay one into hum.json."""

import os
from importlib.resources import files
from typing import Any

import click

from hum.commands import LazyGroup
from thrum.errors import LocalError

JSON = click.option("--json", "as_json", is_flag=True, help="For programs; the fields stay.")

VERBS = {
    "list": ("hum.recipes.verbs:list_", "Show every recipe in a line."),
    "show": ("hum.recipes.verbs:show", "Print one: its settings, and what to type."),
    "apply": ("hum.recipes.verbs:apply_", "Lay one into hum.json."),
}


class NoRecipe(LocalError):
    """No recipe of that name."""


class Taken(LocalError):
    """hum.json says something else where the recipe has a say."""


def _list_without_verb(*, as_json: bool) -> None:
    ctx = click.get_current_context()
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_, as_json=as_json)


recipes = LazyGroup(
    name="recipes",
    lazy=VERBS,
    callback=_list_without_verb,
    invoke_without_command=True,
    params=[click.Option(["--json", "as_json"], is_flag=True, help="For programs.")],
    help="Ready configurations; without a verb, list them.",
)


def known() -> dict[str, dict[str, Any]]:
    """Every recipe by name."""
    import orjson

    found = (one for one in files(__package__).iterdir() if one.name.endswith(".json"))
    return {
        one.name.removesuffix(".json"): orjson.loads(one.read_bytes())
        for one in sorted(found, key=lambda one: one.name)
    }


def named(name: str) -> dict[str, Any]:
    """One recipe, for the folder that we are in. Raises `NoRecipe`."""
    from hum.recipes.merging import filled

    every = known()
    if name not in every:
        raise NoRecipe(f"no recipe {name!r}; there are: {', '.join(every)}", hint="hum recipes")
    recipe: dict[str, Any] = filled(every[name], os.getcwd())
    return recipe


@click.command("list")
@JSON
def list_(*, as_json: bool) -> None:
    """Show every recipe in a line."""
    from hum.output import data, data_json, table

    if as_json:
        for name, recipe in known().items():
            data_json({"name": name, **recipe})
        return
    data(table((name, recipe["about"]) for name, recipe in known().items()))


@click.command
@click.argument("name")
@JSON
def show(*, name: str, as_json: bool) -> None:
    """Print the recipe NAME: what it is for, its settings, and what to type.

    Exit status 1 when there is none of that name.
    """
    import orjson

    from hum.output import data, data_json

    recipe = named(name)
    if as_json:
        data_json({"name": name, **recipe})
        return
    data(f"{recipe['about']}\n\nIn hum.json:\n")
    data(orjson.dumps(recipe["settings"], option=orjson.OPT_INDENT_2).decode())
    data(f"\nhum recipes apply {name} puts that there. Then:\n")
    for line in recipe["then"]:
        data(f"  {line}")


@click.command("apply")
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Print what hum.json would be, and do nothing.")
@JSON
def apply_(*, name: str, dry_run: bool, as_json: bool) -> None:
    """Lay the recipe NAME into hum.json. What it says already stays; nothing is started.

    Exit status 1 when hum.json says something else where the recipe has a say, 78 when the result
    could not be used. Then nothing is changed.
    """
    import orjson

    from hum.output import data, data_json, talk
    from hum.recipes.merging import merged
    from nest.paths import PRIVATE_DIR_MODE, Paths
    from nest.private import replace_private
    from nest.settings import load, read_file

    paths = Paths.from_environment(os.environ)
    recipe = named(name)
    load(paths, os.environ)  # what is there can be used, or is refused as it is
    there = read_file(paths.hum_json)
    assert isinstance(there, dict)
    result, new, kept = merged(there, recipe["settings"])
    if kept:
        raise Taken(
            f"{paths.hum_json} says something else about {', '.join(kept)}",
            hint=f"hum recipes show {name}; then edit {paths.hum_json}",
        )
    load(paths, os.environ, instead=result)
    text = orjson.dumps(result, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    if new and not dry_run:
        paths.config.mkdir(mode=PRIVATE_DIR_MODE, parents=True, exist_ok=True)
        replace_private(paths.hum_json, text)
    if as_json:
        data_json({"dry_run": dry_run, "new": new, "settings": result, "then": recipe["then"]})
        return
    if dry_run:
        data(text.decode().rstrip())
    talk(f"new in {paths.hum_json}: {', '.join(new) or 'nothing'}")
    for line in recipe["then"] if new else ():
        talk(f"  {line}")
