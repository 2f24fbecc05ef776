"""A front with a worker for a scripted service of the OpenAI dialect, for tests of its clients."""

from collections.abc import Iterator

import pytest
from tests.support.front import port_of, serving
from tests.support.stack import Stack
from tests.support.upstream import ScriptedUpstream


@pytest.fixture(scope="module")
def chat_upstream() -> Iterator[ScriptedUpstream]:
    """The service."""
    with ScriptedUpstream() as running:
        yield running


@pytest.fixture(scope="module")
def chat_stack(chat_upstream: ScriptedUpstream) -> Iterator[Stack]:
    """Everything between it and a client."""
    with serving(chat_upstream) as running:
        yield running


@pytest.fixture
def front_url(chat_stack: Stack, chat_upstream: ScriptedUpstream) -> str:
    """Where the front is; the service has forgotten its script."""
    chat_upstream.forget()
    return f"http://127.0.0.1:{port_of(chat_stack)}"
