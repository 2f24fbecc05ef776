"""`python -m thehum`: keep the log until asked to stop."""

import sys

from nest.lifecycle import Context, run_poll
from thehum.service import Service


def main(context: Context) -> None:
    Service(context).run()


if __name__ == "__main__":
    sys.exit(run_poll("thehum", main))
