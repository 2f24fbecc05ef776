"""Where everything is, by name: for `hum nest paths`."""

from dataclasses import dataclass
from pathlib import Path

from nest.paths import Paths

# fmt: off
_NAMES = (
    "state", "config", "data", "cache", "runtime", "hum_json", "peers_json", "orch_d", "hives_orch",
    "hives", "thehum", "thehum_head", "humd_key", "humd_next_key", "operator_key", "front_keys",
    "front_sessions", "sidecar_token", "runtime_json", "bees_json", "drift", "penny_json", "logs",
    "locks", "masks", "worker_keys", "attachments", "thrum_socket", "bus_socket", "supervisor_conf",
    "supervisor_programs", "supervisor_socket",
)
# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One path, and the name that it has in the code."""

    name: str
    path: Path


def places(paths: Paths) -> tuple[Place, ...]:
    """Every path that a person may look for, whether something is there or not."""
    return tuple(Place(name=name, path=getattr(paths, name)) for name in _NAMES)
