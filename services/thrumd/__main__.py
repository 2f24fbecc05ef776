"""`python -m thrumd`: the door, until it is asked to stop."""

import sys
from functools import partial

from nest.lifecycle import run_async
from thrumd.edge.accept import ACCEPTS_PER_SECOND
from thrumd.service import SERVICE, serve


def main(arguments: list[str]) -> int:
    """Run the door; return the exit status."""
    rate = _rate_of(arguments) if arguments else ACCEPTS_PER_SECOND
    return run_async(SERVICE, partial(serve, accepts_per_second=rate))


def _rate_of(arguments: list[str]) -> float:
    import argparse  # here, because it costs more memory than the door without arguments needs

    def rate(text: str) -> float:
        if not 1 <= float(text) <= 1_000_000:
            raise argparse.ArgumentTypeError(f"{text} is not between 1 and 1000000")
        return float(text)

    parser = argparse.ArgumentParser(prog=SERVICE, description="the door: NDJSON on a Unix socket")
    parser.add_argument(
        "--accepts-per-second",
        type=rate,
        default=ACCEPTS_PER_SECOND,
        metavar="N",
        help="connections let in per second (default %(default)g); more wait their turn",
    )
    wanted: float = parser.parse_args(arguments).accepts_per_second
    return wanted


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
