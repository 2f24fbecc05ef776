"""Members of an enumeration where looking them up is quick.

Python 3.11 finds `Chi.ERROR` by calling a descriptor written in Python, which costs more than what
is then done with it; the router asks ten times for each tone. Later versions put members into the
class itself, which is what `direct` does for all.
"""

from enum import StrEnum
from typing import TypeVar

_Kind = TypeVar("_Kind", bound=type[StrEnum])


def direct(kind: _Kind) -> _Kind:
    """Class decorator: the members of `kind` are plain attributes of the class."""
    for name, member in kind.__members__.items():
        type.__setattr__(kind, name, member)
    return kind
