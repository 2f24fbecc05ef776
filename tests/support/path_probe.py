"""What a command can do with paths: tries everything with each, and tells what succeeded.

    python3 path_probe.py CASES REPORT [SECONDS [ACTS]]

CASES holds paths, each ended by a NUL. For each that anything can be done with, REPORT gets a line
`<number> <acts> <device>:<inode> <words>`: the object by its identity and the words of its content.
What is done is undone where it destroys, so that later paths still have something to lead to. With
SECONDS the cases are gone through again and again for so long. ACTS are those to try, not all.

It runs in the sandbox with nothing but Python's own library, and beside it as the control.
"""

import os
import re
import stat
import sys
import time
from collections.abc import Callable, Iterator

WORDS = re.compile(rb"SECRET|DENIED|INSIDE|LEAK|HOOK")
_FLAGS = os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def identity(path: bytes) -> str:
    """Device and inode of what a path leads to."""
    try:
        status = os.stat(path)
    except OSError:
        return "-"
    return f"{status.st_dev}:{status.st_ino}"


def look(path: bytes) -> bytes:
    os.stat(path)
    return b""


def read(path: bytes) -> bytes:
    """The beginning of a file, or the names in a folder."""
    handle = os.open(path, os.O_RDONLY | _FLAGS)
    try:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            return b" ".join(os.fsencode(name) for name in os.listdir(handle))
        return os.read(handle, 1_000)
    finally:
        os.close(handle)


def append(path: bytes) -> bytes:
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | _FLAGS)
    try:
        os.write(handle, b" LEAK")
    finally:
        os.close(handle)
    return b""


def create(path: bytes) -> bytes:
    handle = os.open(path + b".made", os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
    os.close(handle)
    os.unlink(path + b".made")
    return b""


def make_folder(path: bytes) -> bytes:
    os.mkdir(path + b".dir")
    os.rmdir(path + b".dir")
    return b""


def move(path: bytes) -> bytes:
    """Take it into the working directory, look, and put it back."""
    os.rename(path, b"taken")
    try:
        return read(b"taken")
    finally:
        os.rename(b"taken", path)


def link(path: bytes) -> bytes:
    os.link(path, b"linked", follow_symlinks=True)
    try:
        return read(b"linked")
    finally:
        os.unlink(b"linked")


def change_mode(path: bytes) -> bytes:
    os.chmod(path, stat.S_IMODE(os.stat(path).st_mode))
    return b""


ACTS: dict[str, Callable[[bytes], bytes]] = {
    "stat": look,
    "read": read,
    "append": append,
    "create": create,
    "folder": make_folder,
    "move": move,
    "link": link,
    "mode": change_mode,
}


def tried(path: bytes, acts: list[str]) -> str:
    """The line about one path; empty when nothing can be done with it."""
    seen = {identity(path), identity(os.path.dirname(path) or b".")}
    done: list[str] = []
    words: set[bytes] = set()
    for name in acts:
        try:
            words.update(WORDS.findall(ACTS[name](path)))
            done.append(name)
        except (OSError, ValueError):
            continue
        seen.add(identity(path))
    if not done:
        return ""
    told = b",".join(sorted(words)).decode() or "-"
    return f"{','.join(done)} {','.join(sorted(seen))} {told}\n"


def cases(paths: list[bytes], seconds: float) -> Iterator[tuple[int, bytes]]:
    """Every path once; again and again while there is time."""
    until = time.monotonic() + seconds
    while True:
        yield from enumerate(paths)
        if time.monotonic() >= until:
            return


def main() -> None:
    with open(sys.argv[1], "rb") as file:
        paths = [os.path.expanduser(path) for path in file.read().split(b"\0")[:-1]]
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 0.0
    acts = sys.argv[4].split(",") if len(sys.argv) > 4 else list(ACTS)
    told: set[str] = set()
    for number, path in cases(paths, seconds):
        line = tried(path, acts)
        if line:
            told.add(f"{number} {line}")
    with open(sys.argv[2], "w") as report:
        report.writelines(sorted(told))


if __name__ == "__main__":
    main()
