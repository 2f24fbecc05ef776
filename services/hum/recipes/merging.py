"""Laying a recipe into settings that are there. Pure; nothing that somebody chose is replaced."""

from collections.abc import Mapping
from typing import Any

PLACE = "${PWD}"
"""In a recipe: the folder in which it is asked for."""


def filled(value: Any, folder: str) -> Any:
    """`value` with the folder in which it is asked for in place of `${PWD}`."""
    if isinstance(value, Mapping):
        return {key: filled(entry, folder) for key, entry in value.items()}
    if isinstance(value, list):
        return [filled(entry, folder) for entry in value]
    return value.replace(PLACE, folder) if isinstance(value, str) else value


def merged(
    there: Mapping[str, Any], recipe: Mapping[str, Any], *, at: str = ""
) -> tuple[dict[str, Any], list[str], list[str]]:
    """The settings with the recipe in them, the keys that are new, and those that it cannot have.

    Entries of lists come behind those that are there, once. A key that has another value keeps it,
    and is one that the recipe cannot have.
    """
    result = dict(there)
    new: list[str] = []
    kept: list[str] = []
    for key, wanted in recipe.items():
        name = f"{at}{key}"
        if key not in there:
            result[key] = wanted
            new.append(name)
        elif isinstance(wanted, Mapping) and isinstance(there[key], Mapping):
            result[key], more, others = merged(there[key], wanted, at=f"{name}.")
            new += more
            kept += others
        elif isinstance(wanted, list) and isinstance(there[key], list):
            missing = [entry for entry in wanted if entry not in there[key]]
            result[key] = [*there[key], *missing]
            new += [f"{name}[]"] if missing else []
        elif there[key] != wanted:
            kept.append(name)
    return result, new, kept
