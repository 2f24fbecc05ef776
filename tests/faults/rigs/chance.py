"""The one seed of a run with chance in it; `FAULTS_SEED=n` runs it again."""

import os
import random
import secrets
import sys

SEED = int(os.environ.get("FAULTS_SEED", "0")) or secrets.randbits(32)


def tell(rig: str, **figures: int) -> None:
    """Print what a long form did; `pytest -rP` shows it."""
    sys.stdout.write(
        f"{rig}: {', '.join(f'{value:,} {name}' for name, value in figures.items())}\n"
    )


def chance() -> random.Random:
    """A generator from the seed, which it prints: pytest shows that beside a failure."""
    sys.stdout.write(f"FAULTS_SEED={SEED}\n")
    return random.Random(SEED)
