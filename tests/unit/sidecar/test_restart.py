"""What a restart over HTTP says when it cannot be: a sentence, without a hint for a terminal."""

import asyncio
from pathlib import Path

import httpx

from nest.metrics import Registry
from nest.paths import Paths
from nest.supervisor import Supervisor
from sidecar.app import build
from sidecar.bus import Bus


def test_the_detail_is_one_sentence(tmp_path: Path) -> None:
    paths = Paths.from_environment({"HOME": str(tmp_path)})
    supervisor = Supervisor(paths.supervisor_socket)
    bus = Bus(None)  # type: ignore[arg-type]  # nothing here asks the bus
    app = build(bus, Registry(), supervisor, paths, token="t", version="0")

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            headers = {"Authorization": "Bearer t"}
            return await client.post("/api/services/x/restart", headers=headers)

    answer = asyncio.run(ask())

    assert answer.status_code == 503
    detail = answer.json()["detail"]
    assert detail == "hum is not running: nobody answers at its supervisor's socket"
