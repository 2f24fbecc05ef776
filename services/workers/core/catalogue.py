"""Which tools a turn may call (docs/wire.md, section 8): foragers' first, then the asker's own."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from thrum.tones import Body

TOOL_SECONDS = 300.0
"""How long a tool may take that does not say."""
TOOL_SECONDS_MAX = 3_600
"""How long one may take at most."""
TOOLS_MAX = 1_024
"""Tools offered in one turn; the rest are left out."""

RESERVED: Mapping[str, frozenset[str]] = {
    "fs": frozenset({"read", "write", "edit", "multiedit", "glob", "grep", "bash"}),
}
"""Names that an asker's tool may not have while a forager provides the capability; lower case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One tool; `schema` is always a JSON Schema of an object."""

    name: str
    description: str
    schema: Body
    seconds: float = TOOL_SECONDS
    """How long it may take."""


Catalogue = dict[str, Tool]
"""Tools of one turn by name, in the order in which they are offered."""


def catalogue_of(prompt: Mapping[str, Any]) -> Catalogue:
    """Merge what humd and the asker put into a prompt's body; of two with one name the first."""
    catalogue: Catalogue = {}
    for entry in _entries(prompt.get("foragerTools")):
        _add(catalogue, entry)
    reserved = _reserved(prompt.get("provided"))
    for entry in _entries(prompt.get("tools")):
        name = entry.get("name")
        if not isinstance(name, str) or name.lower() not in reserved:
            _add(catalogue, entry)
    return catalogue


def _entries(value: object) -> Iterable[Mapping[str, Any]]:
    return (entry for entry in value if isinstance(entry, dict)) if isinstance(value, list) else ()


def _reserved(provided: object) -> frozenset[str]:
    tags = provided if isinstance(provided, list) else []
    none: frozenset[str] = frozenset()
    return none.union(*(RESERVED.get(tag, none) for tag in tags if isinstance(tag, str)))


def _add(catalogue: Catalogue, entry: Mapping[str, Any]) -> None:
    name, description = entry.get("name"), entry.get("description")
    if not isinstance(name, str) or not name or name in catalogue or len(catalogue) >= TOOLS_MAX:
        return
    schema = entry.get("inputSchema", entry.get("parameters"))
    catalogue[name] = Tool(
        name=name,
        description=description if isinstance(description, str) else "",
        schema=schema if isinstance(schema, dict) and schema else _EMPTY_SCHEMA,
        seconds=_seconds(entry.get("seconds")),
    )


def _seconds(value: object) -> float:
    """What a tool says, when it says more than what all have."""
    is_said = type(value) is int and TOOL_SECONDS < value <= TOOL_SECONDS_MAX
    return float(value) if is_said and isinstance(value, int) else TOOL_SECONDS


_EMPTY_SCHEMA: Body = {"type": "object", "properties": {}}
