"""`python -m thrumd`: the door, until it is asked to stop."""

import argparse
import sys
from functools import partial

from nest.lifecycle import run_async
from thrumd.edge.accept import ACCEPTS_PER_SECOND
from thrumd.service import SERVICE, serve


def main(arguments: list[str]) -> int:
    """Run the door; return the exit status."""
    parser = argparse.ArgumentParser(prog=SERVICE, description="the door: NDJSON on a Unix socket")
    parser.add_argument(
        "--accepts-per-second",
        type=_rate,
        default=ACCEPTS_PER_SECOND,
        metavar="N",
        help="connections let in per second (default %(default)g); more wait their turn",
    )
    options = parser.parse_args(arguments)
    return run_async(SERVICE, partial(serve, accepts_per_second=options.accepts_per_second))


def _rate(text: str) -> float:
    rate = float(text)
    if not 1 <= rate <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and 1000000")
    return rate


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
