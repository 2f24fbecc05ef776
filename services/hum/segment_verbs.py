"""`hum thehum cat`: what is in files of segments, wherever they are."""

import sys
from pathlib import Path

import click

EXIT_BROKEN = 1


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
def cat(*, files: tuple[Path, ...]) -> int:
    """Print the lines of segments, byte for byte as they were written, oldest first as you name.

    FILES are plain or compressed, of this log or of any other; nothing is verified but that a
    compressed one is what was sealed. Of one that is not, it prints what is readable, and exits 1.
    """
    from hum.output import talk
    from thehum.core.pages import lines_of
    from thehum.core.sealed import unpack

    status = 0
    for path in files:
        plain, is_whole = unpack(path.read_bytes())
        for line in lines_of(plain):
            sys.stdout.buffer.write(line + b"\n")
        if not is_whole:
            talk(f"{path} is not what was sealed; these are the lines that could be read")
            status = EXIT_BROKEN
    sys.stdout.buffer.flush()
    return status
