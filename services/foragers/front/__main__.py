"""`python -m foragers.front`: run the model front until told to stop."""

import sys

from foragers.front.service import HIVE, serve_front
from nest.lifecycle import run_async

if __name__ == "__main__":
    sys.exit(run_async(HIVE, serve_front))
