"""Whose tools a request is served with: the client's own, or hum's (docs/decisions, 0024)."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.front import port_of, serving
from tests.support.stack import QUIET_SETTINGS
from tests.support.upstream import ScriptedUpstream

pytestmark = pytest.mark.process

SHELL = {"name": "Bash", "description": "", "parameters": {"type": "object", "properties": {}}}
OWN = [{"type": "function", "function": SHELL}]
HUMS = {"humfs_bash", "humfs_do_code", "humfs_do_noncode", "humfs_lease", "humfs_read"}


@pytest.mark.parametrize(
    ("offers", "has_root", "to_bare", "to_armed"),
    [
        ("auto", True, HUMS, {"Bash"}),
        ("always", True, HUMS, HUMS),  # of two that do the same, hum's
        ("always", False, set(), {"Bash"}),  # without a folder they could do nothing
    ],
)
def test_a_request_is_offered(
    tmp_path: Path, offers: str, *, has_root: bool, to_bare: set[str], to_armed: set[str]
) -> None:
    fs = {"roots": [{"path": str(tmp_path), "mode": "ro"}] if has_root else []}
    settings = {**QUIET_SETTINGS, "fs": fs, "front": {"port": 0, "tools": offers}}
    with ScriptedUpstream() as upstream, serving(upstream, settings=settings) as stack:
        stack.start("humfs")
        stack.wait_bee("humfs")
        url = f"http://127.0.0.1:{port_of(stack)}/v1/chat/completions"

        def offered(**asked: Any) -> set[str]:
            said = [{"role": "user", "content": "hi"}]
            body = {"model": "test-model", "messages": said, **asked}
            assert httpx.post(url, json=body, timeout=30).status_code == 200
            return {tool["function"]["name"] for tool in upstream.requests[-1].get("tools", ())}

        assert offered() == to_bare
        assert offered(tools=OWN) == to_armed
