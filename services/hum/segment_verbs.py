"""`hum thehum cat`: what is in files of segments, wherever they are."""

import stat
import sys
from pathlib import Path

import click

from thrum.errors import LocalError

EXIT_BROKEN = 1
SEGMENT_BYTES_MAX = 2 * 1024**3
"""Longest file that is read; `humd.thehum.segmentBytes` allows half of it."""


class NoSegment(LocalError):
    """A path that leads to no segment of a log."""


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="The same: each line is JSON already.")
def cat(*, files: tuple[Path, ...], as_json: bool) -> int:
    """Print the lines of segments, byte for byte as they were written, oldest first as you name.

    FILES are plain or compressed, of this log or of any other; nothing is verified but that a
    compressed one is what was sealed. Of one that is not, it prints what is readable, and exits 1.
    What is no segment at all is refused.
    """
    from hum.output import talk
    from thehum.core.pages import lines_of
    from thehum.core.sealed import unpack

    del as_json
    status = 0
    for path in files:
        plain, is_whole = unpack(_read(path))
        for line in lines_of(plain):
            sys.stdout.buffer.write(line + b"\n")
        if not is_whole:
            talk(f"{path} is not what was sealed; these are the lines that could be read")
            status = EXIT_BROKEN
    sys.stdout.buffer.flush()
    return status


def _read(path: Path) -> bytes:
    """The bytes of a segment; raises `NoSegment` for what is none."""
    from thehum.core.sealed import is_packed

    hint = "hum nest paths names the log; its segments are <first seq>.ndjson and .packed"
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise NoSegment(f"{path} is no file, so it is no segment", hint=hint)
        if status.st_size > SEGMENT_BYTES_MAX:
            raise NoSegment(f"{path} is longer than any segment", hint=hint)
        content = path.read_bytes()
    except OSError as error:
        raise NoSegment(f"{path} cannot be read: {error.strerror}", hint=f"ls -l {path}") from error
    if content and not content.startswith((b"{", b"\0")) and not is_packed(content):
        raise NoSegment(f"{path} is no segment: it does not begin as one", hint=hint)
    return content
