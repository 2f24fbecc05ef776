"""`python -m humfs`: the file tools of this machine's roots, as a bee."""

import sys

from humfs.service import serve
from nest.lifecycle import run_async


def main() -> int:
    """Run until asked to stop; the exit status."""
    return run_async("humfs", serve)


if __name__ == "__main__":
    sys.exit(main())
