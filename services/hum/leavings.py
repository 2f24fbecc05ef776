"""What hum makes in its own folders, and what of that an uninstall takes along. Pure.

`REBUILT` comes back by itself, `RECORD` is what nobody can make again: the signed log, the keys
that sign it, who may ask. `WRITTEN` is what people write.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from nest.paths import Paths


class Kind(StrEnum):
    """How much it means that a path goes."""

    REBUILT = "rebuilt"
    RECORD = "record"
    WRITTEN = "written"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """One path that hum made, with everything below it."""

    path: Path
    kind: Kind


def leavings(paths: Paths) -> Iterator[Leaving]:
    """Every path that hum makes, whether it is there or not. Nothing else is ever removed."""
    for path in (
        *paths.socket_links(),
        paths.thrum_socket,
        paths.bus_socket.parent,
        paths.supervisor,
        paths.logs,
        paths.masks,
        paths.runtime_json,
        paths.bees_json,
        paths.drift,
        paths.penny_json,
        paths.worker_keys,
        paths.sidecar_token,
        paths.front_sessions,
        paths.landed.parent,
        paths.attachments,
        paths.penny_copy,
        paths.hives,
        paths.hive_cache,
        paths.locks,
    ):
        yield Leaving(path=path, kind=Kind.REBUILT)
    for path in (
        paths.thehum,
        paths.thehum_head,
        paths.humd_key,
        paths.humd_next_key,
        paths.humd_following_key,
        paths.operator_key.parent,
        paths.front_keys,
        paths.front_keys_lock,
    ):
        yield Leaving(path=path, kind=Kind.RECORD)
    for path in (paths.hum_json, paths.peers_json, paths.hives_orch, paths.orch_d):
        yield Leaving(path=path, kind=Kind.WRITTEN)


def folders(paths: Paths) -> tuple[Path, ...]:
    """Folders that go when nothing is in them any more, the innermost first."""
    return (
        paths.front_sessions.parent,
        paths.state,
        paths.runtime,
        paths.data,
        paths.cache,
        paths.config,
    )
