"""The whole stack with a front, and a worker for a scripted model service."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import orjson
from tests.support.stack import CORE, QUIET_SETTINGS, Stack
from tests.support.upstream import ScriptedUpstream

KEY = "sk-0123456789"


@contextmanager
def serving(
    upstream: ScriptedUpstream,
    kind: str = "openai",
    *,
    settings: Mapping[str, Any] = QUIET_SETTINGS,
) -> Iterator[Stack]:
    """Every process between a client and `upstream`, ready; `kind` of worker speaks its dialect."""
    place = "OLLAMA_HOST" if kind == "ollama" else f"{kind.upper()}_BASE_URL"
    environment = {place: upstream.base_url, f"{kind.upper()}_API_KEY": KEY}
    with Stack(services=(*CORE, "front"), env=environment, settings=settings) as running:
        running.start(kind)
        running.wait_bee(kind)
        running.wait_bee("front")
        yield running


def port_of(stack: Stack) -> int:
    """Where the front listens now, as the front says itself."""
    lines = [orjson.loads(line) for line in stack.log("front").splitlines()]
    return int([line["port"] for line in lines if line["event"] == "front.listening"][-1])


def events_of(stack: Stack) -> list[dict[str, Any]]:
    """Everything in the log so far."""
    found: list[dict[str, Any]] = []
    for segment in sorted(stack.paths.thehum.glob("0*.ndjson")):
        lines = segment.read_bytes().rstrip(b"\0").split(b"\n")
        found += [orjson.loads(line) for line in lines if line.endswith(b"}")]
    return found
