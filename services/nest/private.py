"""Files that only this user may read: seeds, tokens, keys of model services.

Reading checks owner and mode on the open handle, never on the path. Writing goes beside, is
flushed, then takes the name; the folder is flushed too. A crash in between leaves `.<name>.<8
hex>.tmp`, which nobody reads.
"""

import os
import re
import secrets
import stat
from pathlib import Path

from nest.paths import OTHERS, require_ours
from thrum.errors import SettingsRefused

PRIVATE_FILE_MODE = 0o600
PRIVATE_FILE_BYTES_MAX = 64 * 1024
"""Longest private file read. A longer one is no key."""
_TOKEN = re.compile(r"[!-~]+")


def read_private(path: Path, *, bytes_max: int = PRIVATE_FILE_BYTES_MAX) -> bytes:
    """Return the content of a 0600 file of ours.

    Raises `FileNotFoundError` when there is none, `SettingsRefused` when it is a link, no regular
    file, another user's, open to others, or longer than `bytes_max`.
    """
    try:
        # O_NONBLOCK: a fifo planted here must not stop the start.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SettingsRefused(
            f"{path} cannot be read: {error.strerror}",
            hint=f"it must be a plain file: ls -l {path}",
        ) from error
    try:
        _require_private(path, os.fstat(handle))
        with os.fdopen(handle, "rb", closefd=False) as file:
            content = file.read(bytes_max + 1)
    finally:
        os.close(handle)
    if len(content) > bytes_max:
        raise SettingsRefused(f"{path} is longer than {bytes_max} bytes", hint=f"ls -l {path}")
    return content


def read_token(path: Path) -> str:
    """Return the secret in a 0600 file of ours, which is printable ASCII in one piece.

    Raises what `read_private` raises, and `SettingsRefused` for a file that holds none: an empty
    one would let everybody in.
    """
    token = read_private(path).decode("ascii", "replace").strip()
    if not _TOKEN.fullmatch(token):
        raise SettingsRefused(f"{path} holds no token", hint=f"rm {path}; then: humctl restart")
    return token


def require_private(path: Path) -> int:
    """Refuse what `read_private` would, without opening the file; its length."""
    status = os.stat(path, follow_symlinks=False)
    _require_private(path, status)
    return status.st_size


def mint_private(path: Path, content: bytes) -> bool:
    """Put `content` at `path` unless something is there; return whether it was put.

    Whatever is there stays: of two processes that mint at once, one wins and the other must read.
    Once this returns the file is on disk, whole. The folder must exist.
    """
    if os.path.lexists(path):
        return False  # a full disk must not keep a service from what it has
    beside = _write_beside(path, content)
    try:
        os.link(beside, path)
    except FileExistsError:
        return False
    finally:
        beside.unlink()
    _sync_folder(path.parent)
    return True


def replace_private(path: Path, content: bytes) -> None:
    """Make `content` the file at `path`, mode 0600, atomically; once this returns it is on disk."""
    beside = _write_beside(path, content)
    try:
        beside.replace(path)
    except OSError:
        beside.unlink()
        raise
    _sync_folder(path.parent)


def _require_private(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise SettingsRefused(f"{path} is no plain file", hint=f"ls -l {path}")
    require_ours(path, status)
    if status.st_mode & OTHERS:
        mode = stat.S_IMODE(status.st_mode)
        raise SettingsRefused(
            f"{path} is open to other users (mode {mode:04o}, wanted 0600)",
            hint=f"chmod 600 {path}",
        )


def _write_beside(path: Path, content: bytes) -> Path:
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(beside, flags, PRIVATE_FILE_MODE)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        beside.unlink()
        error.filename = error.filename or str(path)
        raise
    return beside


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
