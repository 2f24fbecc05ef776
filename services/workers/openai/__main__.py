"""`python -m workers.openai`."""

import sys

from nest.lifecycle import run_async
from workers.openai.service import serve

if __name__ == "__main__":
    sys.exit(run_async("openai", serve))
