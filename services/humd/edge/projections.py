"""Files computed from the log, for people and tools; deleting one loses nothing."""

import os
from collections.abc import Iterable
from pathlib import Path

import orjson

from humd.core.asks import Asks
from humd.core.clients import Client
from thrum.tones import Body


def write_bees(path: Path, bees: Iterable[Client]) -> None:
    """Replace `bees.json`: client id to manifest, of the bees that are connected."""
    content = {bee.id: _expressible(bee.manifest) for bee in bees if bee.is_connected}
    beside = path.with_suffix(".json.tmp")
    beside.write_bytes(
        orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"
    )
    os.replace(beside, path)


def asks(asks: Asks) -> list[Body]:
    """Every permission-ask that waits, and the latest that are over."""
    return [
        {
            "id": ask.id,
            "askId": ask.ask_id,
            "sid": ask.sid,
            "tool": ask.tool,
            "path": ask.path,
            "question": ask.question,
            "state": str(ask.state),
            "asked_ms": ask.asked_ms,
            "due_ms": ask.due_ms,
            "over_ms": ask.over_ms or None,
            "decided_by": ask.decided_by,
        }
        for ask in asks.listed()
    ]


def _expressible(manifest: Body) -> Body:
    """The manifest, or its name alone when JSON cannot express what a bee has put there."""
    try:
        orjson.dumps(manifest)
    except orjson.JSONEncodeError:
        return {"name": manifest["name"]}
    return manifest
