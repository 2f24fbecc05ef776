"""What humd says about who is connected: `bees.json`, and the addresses in it."""

import os
from collections.abc import Collection, Mapping
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


def read_connections(paths: Paths) -> dict[str, dict[str, Any]]:
    """The manifest of each connected bee by its connection, as the running humd says.

    Empty when there is no humd: a killed one leaves its file behind, and whoever is in it is not
    connected to anybody. One that ended a moment ago may still be in it.
    """
    try:
        if not _is_of_running_humd(paths):
            return {}
        with paths.bees_json.open("rb") as file:
            found = orjson.loads(file.read(BEES_BYTES_MAX))
    except (OSError, orjson.JSONDecodeError):
        return {}
    return {
        connection: manifest
        for connection, manifest in (found.items() if isinstance(found, dict) else ())
        if isinstance(manifest, dict) and isinstance(manifest.get("name"), str)
    }


def read_manifests(paths: Paths) -> list[dict[str, Any]]:
    """The same without their connections."""
    return list(read_connections(paths).values())


def _is_of_running_humd(paths: Paths) -> bool:
    """Whether bees.json was written since the humd that runs took its lock."""
    lock = paths.lock("humd")
    try:
        os.kill(int(lock.read_text("ascii")), 0)
    except (OSError, OverflowError, ValueError):
        return False
    return paths.bees_json.stat().st_mtime_ns >= lock.stat().st_mtime_ns


def read_bees(paths: Paths, *, but: Collection[str] = ()) -> dict[str, dict[str, Any]]:
    """The same by name, without the connections in `but`; of several with one name the last."""
    found = read_connections(paths)
    return {one["name"]: one for connection, one in found.items() if connection not in but}


def address(manifest: Mapping[str, Any] | None, host: str, port: int) -> Address:
    """Where a bee listens: as it says itself, else `host` and `port` as configured."""
    bind = (manifest or {}).get("bind")
    if isinstance(bind, dict) and isinstance(bind.get("port"), int) and bind["port"]:
        said = bind.get("host")
        return Address(host=said if isinstance(said, str) else host, port=bind["port"])
    return Address(host=host, port=port)
