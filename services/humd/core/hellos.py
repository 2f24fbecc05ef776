"""What a hello says, field by field; what does not fit is ignored, as the wire promises."""

from itertools import islice
from typing import Any

from humd.core.arrivals import ClientId
from humd.core.roots import Files, told
from thrum.errors import MalformedId
from thrum.ids import parse_hid
from thrum.tones import Body

HELLO_BYTES_MAX = 1024 * 1024
"""Of what a bee says of itself: its tools are part of every prompt."""
TOOLS_MAX = 1_024
"""Tools in one hello; later ones are not offered."""
NAMES_MAX = 1_024
"""Models, capabilities or roles in one hello."""
HEARD_MAX = 256
"""Sids for which a client may say how far it has heard them."""
TOOL_SECONDS = 300
"""How long a tool may take that does not say."""
TOOL_SECONDS_MAX = 3_600
"""How long one may take at most; what is more does not count."""
PORT_MAX = 65_535
EMPTY_SCHEMA: Body = {"type": "object", "properties": {}}
"""One entry without a schema makes a model's harness reject the whole list."""


def too_long(raw: bytes) -> str:
    """Why a hello of this body is too long; empty when it is not."""
    if len(raw) <= HELLO_BYTES_MAX:
        return ""
    return f"a hello of {len(raw)} bytes; at most {HELLO_BYTES_MAX}: offer fewer tools"


def manifest_of(
    body: Body,
    *,
    client: ClientId,
    name: str,
    hid: str | None,
    roles: list[str],
    tools: list[Body],
    files: Files | None,
) -> Body:
    """The manifest as kept in `bees.json`; keys as on the wire."""
    manifest: Body = {
        "name": name,
        "version": text_of(body.get("version")) or "0.0.0",
        "proto_version": text_of(body.get("protoVersion")) or "",
        "propensity": propensity_of(body.get("propensity")),
        "chis": texts_of(body.get("chis")),
        "bee": roles,
        "models": texts_of(body.get("models")),
        "tools": tools,
        "provides": texts_of(body.get("provides")),
        "nestlerId": text_of(body.get("nestlerId")) or client,
    }
    for key, value in (
        ("hid", hid),
        ("source", text_of(body.get("source"))),
        ("bind", bind_of(body.get("bind"))),
        ("capacity", capacity_of(body.get("capacity"))),
        ("roots", told(files) if files is not None else None),
    ):
        if value:
            manifest[key] = value
    return manifest


def propensity_of(value: object) -> Body:
    """What a bee is like, in texts; empty when one of them is something else."""
    keys = ("statefulness", "richness", "wire")
    said = {key: value.get(key) for key in keys} if isinstance(value, dict) else {}
    found = {key: text for key, text in said.items() if text is not None}
    return found if all(isinstance(text, str) for text in found.values()) else {}


def bind_of(value: object) -> Body | None:
    """Where a bee can be reached from outside; None when that is no address."""
    if not isinstance(value, dict):
        return None
    host, port, scheme = value.get("host"), value.get("port"), value.get("scheme")
    if not isinstance(host, str) or type(port) is not int or not 0 <= port <= PORT_MAX:
        return None
    bind: Body = {"host": host, "port": port}
    if scheme is None:
        return bind
    return {**bind, "scheme": scheme} if isinstance(scheme, str) else None


def text_of(value: object) -> str | None:
    """A text that says something."""
    return value if isinstance(value, str) and value else None


def hid_of_hello(body: Body) -> str | None:
    """A well-formed hid in its full text; anything else is no identity."""
    value = body.get("hid")
    try:
        return str(parse_hid(value)) if isinstance(value, str) else None
    except MalformedId:
        return None


def texts_of(value: object) -> list[str]:
    """A list of strings; a single string counts as a list of one."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        return []
    return [item for item in value if isinstance(item, str)][:NAMES_MAX]


def capacity_of(value: object) -> int | None:
    """How many turns a worker takes at once; None when it does not say."""
    return value if type(value) is int and value > 0 else None


def count_of(value: object) -> int | None:
    """A number of things, none included; None for anything else."""
    return value if type(value) is int and value >= 0 else None


def pressure_of(headroom: object) -> str:
    """How busy a humd says it is, in its `headroom`."""
    return (text_of(headroom.get("pressure")) or "") if isinstance(headroom, dict) else ""


def heard_of(value: object) -> dict[str, int] | None:
    """How far a client that comes back has heard what was said, by sid; the first `HEARD_MAX`.

    None for one that does not say.
    """
    if not isinstance(value, dict):
        return None
    fits = ((sid, wane) for sid, wane in value.items() if type(sid) is str and type(wane) is int)
    return dict(islice(fits, HEARD_MAX))


def tools_of(value: object) -> list[Body]:
    """Tool definitions with a name; a schema that is no object becomes an empty one."""
    tools: list[Body] = []
    for entry in value if isinstance(value, list) else []:
        if isinstance(entry, dict) and isinstance(name := entry.get("name"), str):
            schema: Any = entry.get("inputSchema")
            tool: Body = {
                "name": name,
                "description": text_of(entry.get("description")) or "",
                "inputSchema": schema if isinstance(schema, dict) else EMPTY_SCHEMA,
            }
            seconds = count_of(entry.get("seconds"))
            if seconds is not None and TOOL_SECONDS < seconds <= TOOL_SECONDS_MAX:
                tool["seconds"] = seconds
            tools.append(tool)
    return tools[:TOOLS_MAX]
