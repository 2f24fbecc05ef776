"""`python -m workers.ollama`."""

import sys

from nest.lifecycle import run_async
from workers.ollama.service import serve

if __name__ == "__main__":
    sys.exit(run_async("ollama", serve))
