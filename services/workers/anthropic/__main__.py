"""`python -m workers.anthropic`."""

import sys

from nest.lifecycle import run_async
from workers.anthropic.service import serve

if __name__ == "__main__":
    sys.exit(run_async("anthropic", serve))
