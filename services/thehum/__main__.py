"""`python -m thehum`: keep the log until asked to stop."""

import sys

from nest.lifecycle import Context, run_poll
from thehum.errors import DiskFull
from thehum.service import Service


def main(context: Context) -> None:
    try:
        Service(context).run()
    except DiskFull:
        if not context.stop.requested:
            raise


if __name__ == "__main__":
    sys.exit(run_poll("thehum", main))
