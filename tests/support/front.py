"""The whole stack with a front, and a worker for a scripted model service."""

from collections.abc import Iterator
from contextlib import contextmanager

import orjson
from tests.support.stack import CORE, Stack
from tests.support.upstream import ScriptedUpstream

KEY = "sk-0123456789"


@contextmanager
def serving(upstream: ScriptedUpstream) -> Iterator[Stack]:
    """Every process between a client and `upstream`, ready."""
    environment = {"OPENAI_BASE_URL": upstream.base_url, "OPENAI_API_KEY": KEY}
    with Stack(services=(*CORE, "front"), env=environment) as running:
        running.start("openai")
        running.wait_bee("openai")
        running.wait_bee("front")
        yield running


def port_of(stack: Stack) -> int:
    """Where the front listens, as the front says itself."""
    lines = [orjson.loads(line) for line in stack.log("front").splitlines()]
    return int(next(line["port"] for line in lines if line["event"] == "front.listening"))
