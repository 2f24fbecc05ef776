"""What humd says about who is connected: `bees.json`, and the addresses in it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from nest.paths import Paths

BEES_BYTES_MAX = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a service listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address as the start of a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def read_manifests(paths: Paths) -> list[dict[str, Any]]:
    """The manifest of each connected bee, as the running humd says.

    Empty when there is no humd: a killed one leaves its file behind, and whoever is in it is not
    connected to anybody.
    """
    try:
        if not _is_of_running_humd(paths):
            return []
        with paths.bees_json.open("rb") as file:
            found = orjson.loads(file.read(BEES_BYTES_MAX))
    except (OSError, orjson.JSONDecodeError):
        return []
    return [
        manifest
        for manifest in (found.values() if isinstance(found, dict) else ())
        if isinstance(manifest, dict) and isinstance(manifest.get("name"), str)
    ]


def _is_of_running_humd(paths: Paths) -> bool:
    """Whether bees.json was written since the humd that runs took its lock."""
    lock = paths.lock("humd")
    try:
        os.kill(int(lock.read_text("ascii")), 0)
    except (OSError, OverflowError, ValueError):
        return False
    return paths.bees_json.stat().st_mtime_ns >= lock.stat().st_mtime_ns


def read_bees(paths: Paths) -> dict[str, dict[str, Any]]:
    """The same by name; of several with one name the last."""
    return {manifest["name"]: manifest for manifest in read_manifests(paths)}


def address(manifest: Mapping[str, Any] | None, host: str, port: int) -> Address:
    """Where a bee listens: as it says itself, else `host` and `port` as configured."""
    bind = (manifest or {}).get("bind")
    if isinstance(bind, dict) and isinstance(bind.get("port"), int) and bind["port"]:
        said = bind.get("host")
        return Address(host=said if isinstance(said, str) else host, port=bind["port"])
    return Address(host=host, port=port)
