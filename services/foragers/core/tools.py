"""Tools of a client, as a prompt names them."""

from collections.abc import Callable
from typing import Literal

from foragers.core.checks import text_at, wrong
from thrum.tones import Body

TOOLS_MAX = 1_024
ToolsOffered = Literal["auto", "always", "never"]
"""Which requests are offered hum's tools; `auto`: those that bring none of their own."""


def tools_of(value: object, own: str, read: Callable[[str, Body], Body]) -> list[Body]:
    """The client's tools; those whose type is not `own` are a service's, and left out.

    `read` makes the entry of one, from its path and itself. Raises `ApiError`.
    """
    if value is None:
        return []
    if type(value) is not list or len(value) > TOOLS_MAX:
        raise wrong("tools", f"an array of at most {TOOLS_MAX} tools")
    entries = []
    for index, tool in enumerate(value):
        if type(tool) is not dict:
            raise wrong(f"tools[{index}]", "an object")
        if tool.get("type", own) == own:
            entries.append(read(f"tools[{index}]", tool))
    return entries


def kept_from(prompt: Body, offered: ToolsOffered) -> Body:
    """What a prompt must say so that humd adds none of hum's tools to it; {} when it may.

    A client with tools of its own runs them itself and in its own folder (docs/decisions, 0024).
    """
    may_add = offered == "always" or (offered == "auto" and not prompt.get("tools"))
    return {} if may_add else {"foragerTools": [], "provided": []}


def entry_of(path: str, told: Body, schema_key: str) -> Body:
    """One tool: its name, what it says of itself, and its schema. Raises `ApiError`."""
    entry: Body = {"name": text_at(f"{path}.name", told.get("name"))}
    if type(description := told.get("description")) is str:
        entry["description"] = description
    schema = told.get(schema_key)
    if schema is not None and type(schema) is not dict:
        raise wrong(f"{path}.{schema_key}", "a JSON Schema object")
    entry["inputSchema"] = schema or {"type": "object", "properties": {}}
    return entry
