"""`python -m workers.claude_cli`."""

import sys

from nest.lifecycle import run_async
from workers.claude_cli.service import HIVE, serve

if __name__ == "__main__":
    sys.exit(run_async(HIVE, serve))
