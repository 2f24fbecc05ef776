"""Where the door is, for a command: the environment, then `runtime.json`, then the usual place.

`runtime.json` counts only while whoever wrote it still runs: after a kill it is left behind, and a
dead address is never dialled.
"""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nest.paths import Paths

RUNTIME_BYTES_MAX = 64 * 1024
PROBE_SECONDS = 1.0
"""How long the door may take to say its first word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """What `runtime.json` says."""

    socket: Path
    pid: int
    version: str
    thrum_version: str
    bound_at_ms: int

    @property
    def is_stale(self) -> bool:
        """Whether the process that wrote it is gone."""
        try:
            os.kill(self.pid, 0)
        except PermissionError:
            return False
        except (OSError, OverflowError):
            return True
        return self.pid <= 0

    def described(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "socket": str(self.socket),
            "pid": self.pid,
            "version": self.version,
            "bound_at_ms": self.bound_at_ms,
            "stale": self.is_stale,
        }


def read_runtime(paths: Paths) -> Runtime | None:
    """What `runtime.json` says; None when there is none, or it is not readable as one."""
    import orjson

    try:
        with paths.runtime_json.open("rb") as file:
            told = orjson.loads(file.read(RUNTIME_BYTES_MAX))
        found = Runtime(
            socket=Path(told["socket"]),
            pid=int(told["pid"]),
            version=str(told["version"]),
            thrum_version=str(told["thrum_version"]),
            bound_at_ms=int(told["bound_at_ms"]),
        )
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None
    return found if found.socket.is_absolute() else None


def door_path(paths: Paths, environ: Mapping[str, str]) -> Path:
    """Where to connect."""
    if environ.get("HUM_THRUM_SOCK") or environ.get("HUM_SOCKET"):
        return paths.thrum_socket
    told = read_runtime(paths)
    return told.socket if told is not None and not told.is_stale else paths.thrum_socket


def silence_of(path: Path) -> str:
    """Why nothing is heard at the door; empty when it says its first word in time.

    The door speaks first, so nothing is sent and nothing reaches the log.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(PROBE_SECONDS)
        try:
            link.connect(str(path))
            heard = link.recv(1)
        except FileNotFoundError:
            return "there is no socket"
        except ConnectionRefusedError:
            return "nobody listens on it: left behind by a process that was killed"
        except TimeoutError:
            return f"silent for {PROBE_SECONDS:.0f} s"
        except OSError as error:
            return error.strerror or str(error)
    return "" if heard else "closed without a word"
