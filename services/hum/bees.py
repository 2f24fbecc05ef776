"""What humd says about who is connected: `bees.json`, and the addresses in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

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


def read_manifests(path: Path) -> list[dict[str, Any]]:
    """The manifest of each connected bee; empty when there is no readable file."""
    try:
        with path.open("rb") as file:
            found = orjson.loads(file.read(BEES_BYTES_MAX))
    except (OSError, orjson.JSONDecodeError):
        return []
    return [
        manifest
        for manifest in (found.values() if isinstance(found, dict) else ())
        if isinstance(manifest, dict) and isinstance(manifest.get("name"), str)
    ]


def read_bees(path: Path) -> dict[str, dict[str, Any]]:
    """The same by name; of several with one name the last."""
    return {manifest["name"]: manifest for manifest in read_manifests(path)}


def address(manifest: Mapping[str, Any] | None, host: str, port: int) -> Address:
    """Where a bee listens: as it says itself, else `host` and `port` as configured."""
    bind = (manifest or {}).get("bind")
    if isinstance(bind, dict) and isinstance(bind.get("port"), int) and bind["port"]:
        said = bind.get("host")
        return Address(host=said if isinstance(said, str) else host, port=bind["port"])
    return Address(host=host, port=port)
