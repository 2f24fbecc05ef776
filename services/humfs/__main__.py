"""`python -m humfs`: the file tools of this machine's roots, as a bee."""

import argparse
import sys
from functools import partial

from humfs.service import serve
from nest.lifecycle import run_async


def main() -> int:
    """Run until asked to stop; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m humfs", description=__doc__)
    parser.add_argument("--instance", help="which of fs.instances in hum.json; else fs itself")
    instance: str | None = parser.parse_args().instance
    return run_async("humfs", partial(serve, instance=instance), instance=instance)


if __name__ == "__main__":
    sys.exit(main())
