"""What several processes refuse, in the same words whoever does."""

from collections.abc import Sequence

ROOTS_NAMED_MAX = 20
"""Roots that a refusal names; of more it says how many."""
_MEND = "The owner of this machine can add one: fs.roots in hum.json, or hum up --root DIR"


def outside_roots(asked: str, roots: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """A path in none of the roots, each a path and its mode: what is wrong, and how to mend it.

    It is the same whether or not anything is there.
    """
    if not roots:
        return "No path may be touched: fs.roots is empty.", _MEND
    named = [f"{path} ({mode})" for path, mode in roots[:ROOTS_NAMED_MAX]]
    if len(roots) > ROOTS_NAMED_MAX:
        named.append(f"and {len(roots) - ROOTS_NAMED_MAX} more")
    listed = ", ".join(named)
    return (
        f"{asked} is outside the directories that may be touched (fs.roots: {listed}).",
        f"Ask for a path below one of them. {_MEND}",
    )
