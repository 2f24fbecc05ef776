"""What must hold before anything is started. A check changes nothing and names the mend.

`private_directories` comes last: it is the first that may create something.
"""

import errno
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nest.paths import SOCKET_PATH_BYTES_MAX, Paths, ensure_private
from nest.settings import Settings
from thrum.errors import SettingsRefused

SUPERVISOR_SUFFIX_BYTES = 8
"""supervisord binds a name of its own first: the socket's with a dot and its pid behind it."""


ROOM_BYTES_MIN = 1024 * 1024
"""Free on the disk of the state; with less a start would fail half way."""
ROOM_BYTES_FIRST = 32 * 1024 * 1024
"""The same where there is no log yet: one is laid out, and its next segment."""
ROOM_FILES_MIN = 256
"""Free inodes; a first start makes fewer than a hundred files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """One address that a service will listen on."""

    setting: str
    host: str
    port: int


def listeners(settings: Settings) -> Iterator[Listener]:
    """Every address that is configured; port 0 is left out, as it is always free."""
    front, sidecar = settings.front, settings.sidecar
    found = (
        Listener(setting="front.port", host=front.host, port=front.port),
        Listener(setting="sidecar.port", host=sidecar.host, port=sidecar.port),
    )
    return (listener for listener in found if listener.port)


def require_sockets(paths: Paths) -> None:
    """Raise `SettingsRefused` for a socket path that the system would not take."""
    paths.require_short_sockets()
    length = len(os.fsencode(paths.supervisor_socket)) + SUPERVISOR_SUFFIX_BYTES
    if length > SOCKET_PATH_BYTES_MAX:
        raise SettingsRefused(
            f"the socket path {paths.supervisor_socket} and a suffix have {length} bytes;"
            f" the system takes {SOCKET_PATH_BYTES_MAX}",
            hint="set XDG_STATE_HOME to a shorter path",
        )


def require_ports(settings: Settings, paths: Paths) -> None:
    """Raise `SettingsRefused` for an address that is taken or that we may not have."""
    for listener in listeners(settings):
        error = _bind_error(listener)
        if error is not None:
            taken = error.errno == errno.EADDRINUSE
            what = f"is taken by {_holder(listener.port)}" if taken else f"fails: {error.strerror}"
            raise SettingsRefused(
                f"port {listener.port} on {listener.host} ({listener.setting}) {what}",
                hint=f"end that program, or set another {listener.setting} in {paths.hum_json}",
            )


def require_room(paths: Paths) -> None:
    """Raise `SettingsRefused` when a start would not find room where the state is."""
    place = next(place for place in (paths.state, *paths.state.parents) if place.exists())
    found = os.statvfs(place)
    least = ROOM_BYTES_MIN if paths.thehum.exists() else ROOM_BYTES_FIRST
    has_files = found.f_files == 0 or found.f_favail >= ROOM_FILES_MIN  # 0: no fixed number
    if found.f_bavail * found.f_frsize < least or not has_files:
        raise SettingsRefused(
            f"no room on the disk of {place}", hint=f"make room: df -h {place}; df -i {place}"
        )


def require_roots(roots: tuple[str, ...]) -> None:
    """Raise `SettingsRefused` for a root that is no directory or cannot be written down."""
    for root in roots:
        path = root.removesuffix("=ro").removesuffix("=rw")
        if os.pathsep in path:
            raise SettingsRefused(
                f"--root {path}: a path with {os.pathsep!r} cannot be given here",
                hint="name it in fs.roots of hum.json",
            )
        if not Path(path).is_dir():
            raise SettingsRefused(f"--root {path}: is no directory", hint=f"mkdir -p {path}")


def private_directories(paths: Paths) -> tuple[Path, ...]:
    """The directories that a start needs, outermost first."""
    return (
        paths.state,
        paths.runtime,
        paths.locks,
        paths.logs,
        paths.supervisor,
        paths.supervisor_programs,
        paths.bus_socket.parent,
        paths.thehum,
        paths.worker_keys,
    )


def require_private(paths: Paths) -> None:
    """Leave every directory that a start needs private; those that exist are judged first."""
    directories = private_directories(paths)
    for directory in directories:
        if os.path.lexists(directory):
            ensure_private(directory)
    for directory in directories:
        ensure_private(directory)


def _bind_error(listener: Listener) -> OSError | None:
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do, so that an address that is merely cooling down counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listener.host, listener.port))
        except OSError as error:
            return error
    return None


def _holder(port: int) -> str:
    """Who listens on `port`, as far as the system tells us."""
    import psutil

    try:
        for link in psutil.net_connections("tcp"):
            if link.laddr and link.laddr.port == port and link.status == psutil.CONN_LISTEN:
                if link.pid is None:
                    break
                return f"{psutil.Process(link.pid).name()} (pid {link.pid})"
    except psutil.Error:
        pass
    return "another program"
