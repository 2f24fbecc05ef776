"""Questions to the sidecar, when something else has its address."""

import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from hum.admin import ask_admin
from hum.sandbox import sandbox
from nest.paths import Paths
from nest.private import mint_private
from thrum.errors import LocalError


class Other(http.server.BaseHTTPRequestHandler):
    """Another program: it answers everything alike."""

    status, body = 200, b""

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def paths(home: Path) -> Paths:
    found = Paths.from_environment(os.environ)
    for folder in (found.state, found.config, found.sidecar_token.parent):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    mint_private(found.sidecar_token, b"token")
    return found


@pytest.fixture
def other(paths: Paths) -> Iterator[type[Other]]:
    """Another program where the settings say that the sidecar is."""
    with http.server.HTTPServer(("127.0.0.1", 0), Other) as server:
        settings = {"sidecar": {"port": server.server_port}}
        paths.hum_json.write_bytes(orjson.dumps(settings))
        paths.hum_json.chmod(0o600)
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield Other
        server.shutdown()
        serving.join()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>not this</html>"),
        (200, b"[]"),
        (422, b"<html>"),
        (422, b'{"detail":[]}'),
        (422, b'{"detail":"no"}'),
    ],
)
def test_what_no_sidecar_answers_is_named(
    monkeypatch: pytest.MonkeyPatch, other: type[Other], status: int, body: bytes
) -> None:
    monkeypatch.setattr(other, "status", status)
    monkeypatch.setattr(other, "body", body)

    with pytest.raises(LocalError, match="no sidecar"):
        ask_admin("/api/costs")


@pytest.mark.parametrize(
    "body", [b"<html>\n", b"\xff", b'hum_humfs_sandbox_layer{layer="odd"} 1.0\n']
)
def test_what_are_no_metrics_is_a_finding(
    monkeypatch: pytest.MonkeyPatch, paths: Paths, other: type[Other], body: bytes
) -> None:
    monkeypatch.setattr(other, "body", body)
    monkeypatch.setattr("hum.sandbox.read_bees", lambda _: {"humfs": {}})

    (found,) = sandbox(paths, os.environ)

    assert (found.ok, found.what) == (False, "sandbox")
    assert "none" in found.said
