"""`python -m humfs`: the file tools of this machine's roots, as a bee."""

import sys
from functools import partial

from humfs.service import serve
from nest.lifecycle import run_async


def main(arguments: list[str]) -> int:
    """Run until asked to stop; the exit status."""
    instance = _instance_of(arguments) if arguments else None
    return run_async("humfs", partial(serve, instance=instance), instance=instance)


def _instance_of(arguments: list[str]) -> str | None:
    import argparse  # here, because most do without

    parser = argparse.ArgumentParser(prog="python -m humfs", description=__doc__)
    parser.add_argument("--instance", help="which of fs.instances in hum.json; else fs itself")
    instance: str | None = parser.parse_args(arguments).instance
    return instance


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
