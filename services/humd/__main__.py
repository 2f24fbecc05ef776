"""`python -m humd`: route until asked to stop."""

import sys

from humd.service import Hub
from nest.lifecycle import Context, run_poll
from nest.paths import ensure_private


def main(context: Context) -> None:
    ensure_private(context.paths.bus_socket.parent)
    Hub(context).run()


if __name__ == "__main__":
    sys.exit(run_poll("humd", main))
