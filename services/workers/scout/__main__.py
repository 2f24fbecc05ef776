"""`python -m workers.scout`."""

import sys

from nest.lifecycle import run_async
from workers.scout.service import serve

if __name__ == "__main__":
    sys.exit(run_async("scout", serve))
