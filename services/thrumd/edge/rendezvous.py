"""The door's place on disk: socket, links to it, `runtime.json` (docs/wire.md, section 2.5).

A crash leaves all three behind; the next start finds that nobody answers on the socket and takes
its place.
"""

import contextlib
import logging
import os
import socket
import stat
import time
from pathlib import Path

import orjson

from nest.paths import Paths, ensure_private
from nest.private import read_private, replace_private
from nest.sockets import BACKLOG
from nest.version import HUM_VERSION
from thrum.chi import THRUM_VERSION
from thrum.errors import SettingsRefused

SOCKET_MODE = 0o600
PROBE_SECONDS = 1.0
"""How long another daemon may take to accept before we call it alive all the same."""

log = logging.getLogger(__name__)


def listen(paths: Paths) -> socket.socket:
    """Bind the door's socket, mode 0600 in a 0700 directory, and listen.

    Raises `SettingsRefused` when another daemon answers there, or something else is in the way.
    """
    path = paths.thrum_socket
    ensure_private(path.parent)
    _make_way(path, paths)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))  # umask 077: nobody else gets in before the chmod either
        path.chmod(SOCKET_MODE)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as problem:
        listener.close()
        raise SettingsRefused(
            f"cannot listen on {path}: {problem.strerror}", hint=f"ls -ld {path.parent}"
        ) from problem
    return listener


def publish(paths: Paths) -> None:
    """Tell clients where the door is: `runtime.json`, and a link wherever else they look."""
    runtime = {
        "socket": str(paths.thrum_socket),
        "pid": os.getpid(),
        "version": HUM_VERSION,
        "thrum_version": THRUM_VERSION,
        "bound_at_ms": time.time_ns() // 1_000_000,
        "ensemble_addrs": [],
    }
    replace_private(paths.runtime_json, orjson.dumps(runtime, option=orjson.OPT_INDENT_2) + b"\n")
    for link in paths.socket_links():
        try:
            _place(link, paths.thrum_socket)
        except (OSError, SettingsRefused) as problem:
            log.warning("door.no_link", extra={"link": str(link), "reason": str(problem)})


def withdraw(paths: Paths) -> None:
    """Remove what `listen` and `publish` made, as far as it is still ours."""
    if _published_pid(paths) != os.getpid():
        return
    for link in paths.socket_links():
        if _target(link) == str(paths.thrum_socket):
            link.unlink(missing_ok=True)
    paths.thrum_socket.unlink(missing_ok=True)
    paths.runtime_json.unlink(missing_ok=True)


def _make_way(path: Path, paths: Paths) -> None:
    """Remove a socket that nobody serves; raise `SettingsRefused` for anything else there."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise SettingsRefused(
            f"{path} is there and is no socket", hint=f"move it away: mv {path} {path}.bad"
        )
    if _answers(path):
        pid = _published_pid(paths)
        raise SettingsRefused(
            f"another daemon answers on {path} (pid {pid or 'unknown'})",
            hint="stop it first: hum down",
        )
    path.unlink()


def _answers(path: Path) -> bool:
    """Whether somebody listens on a socket; one who is too busy to accept does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_SECONDS)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
        return True


def _place(link: Path, target: Path) -> None:
    """Make `link` point at our socket, replacing only a link that leads to nobody or to us."""
    ensure_private(link.parent)
    pointed = _target(link)
    if pointed == str(target):
        return
    if os.path.lexists(link):
        if pointed is None:
            raise FileExistsError(f"{link} is there and is no link")
        if _answers(link):
            raise FileExistsError(f"{link} leads to another daemon")
        link.unlink()
    link.symlink_to(target)


def _target(link: Path) -> str | None:
    """Where a link of ours points; None when it is no link, or another user's."""
    with contextlib.suppress(OSError):
        if link.lstat().st_uid == os.geteuid():
            return str(link.readlink())
    return None


def _published_pid(paths: Paths) -> int | None:
    """The pid in `runtime.json`; None when there is no such file or it is not readable as one."""
    try:
        pid = orjson.loads(read_private(paths.runtime_json))["pid"]
    except (OSError, SettingsRefused, orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return pid if isinstance(pid, int) else None
