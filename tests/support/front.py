"""The whole stack with a front, and a worker for a scripted model service."""

from collections.abc import Iterator
from contextlib import contextmanager

import orjson
from tests.support.stack import CORE, Stack
from tests.support.upstream import ScriptedUpstream

KEY = "sk-0123456789"


@contextmanager
def serving(upstream: ScriptedUpstream, kind: str = "openai") -> Iterator[Stack]:
    """Every process between a client and `upstream`, ready; `kind` of worker speaks its dialect."""
    place = "OLLAMA_HOST" if kind == "ollama" else f"{kind.upper()}_BASE_URL"
    environment = {place: upstream.base_url, f"{kind.upper()}_API_KEY": KEY}
    with Stack(services=(*CORE, "front"), env=environment) as running:
        running.start(kind)
        running.wait_bee(kind)
        running.wait_bee("front")
        yield running


def port_of(stack: Stack) -> int:
    """Where the front listens, as the front says itself."""
    lines = [orjson.loads(line) for line in stack.log("front").splitlines()]
    return int(next(line["port"] for line in lines if line["event"] == "front.listening"))
