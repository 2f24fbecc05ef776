"""A front with a worker for a scripted service, and the file tools over an empty root."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.front import port_of, serving
from tests.support.humfs import Tools, humfs
from tests.support.stack import Stack
from tests.support.upstream import ScriptedUpstream


@pytest.fixture(scope="module")
def chat_upstream() -> Iterator[ScriptedUpstream]:
    """A service of the OpenAI dialect."""
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


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with nothing in it."""
    root = tmp_path / "w"
    root.mkdir()
    return root


@pytest.fixture
def tools(root: Path, tmp_path: Path) -> Iterator[Tools]:
    """The file tools over it."""
    with humfs((root, "rw"), state=tmp_path / "state") as tools:
        yield tools
