"""Foragers of files that share the work: which of them a call is for.

A forager that says in its hello which roots it has shares its tools with every other one that does:
a model sees each tool once, however many there are. A call goes

1. by the path that it names, to who holds it below the longest root; of one that may write there
   and one that may only read, to the one that may;
2. without a path, or with one that begins nowhere, to the first by name and those with its roots;
3. of several to one that is connected and let no call run out of time; then to who served the
   conversation last, because only that one knows what it was shown; then to the one with the
   fewest calls open, and of these to the one that was asked longest ago.

Nobody asks about the roots of a forager that is alone: it refuses what is not its own.
"""

from humd.core.arrivals import Arrival, Refusal
from humd.core.catalogue import Offer
from humd.core.clients import Client
from humd.core.roots import Files
from humd.core.sessions import Session
from humd.core.state import State
from thrum.errors import Qualifier
from thrum.refusals import outside_roots

HANDS_MAX = 8
"""Foragers remembered that served one conversation; the one longest ago is forgotten first."""


def chosen(
    state: State, session: Session | None, arrival: Arrival, offer: Offer
) -> Client | Refusal:
    """Who is to run a call of a forager's tool; a refusal when its path is in nobody's root."""
    if offer.forager.files is None:
        return offer.forager
    sharers = _sharers(state, offer.name)
    if len(sharers) < 2:
        return offer.forager
    first = sharers[0][1]
    path = first.path_of(arrival, offer.name)
    if path is None:
        able = [bee for bee, files in sharers if files.roots == first.roots]
    else:
        held = [(root, bee) for bee, files in sharers if (root := files.root_of(path)) is not None]
        if not held:
            return Refusal(Qualifier.TOOL_OUTSIDE_ROOTS, _outside(path, sharers))
        best = max((len(root.path), root.is_writable) for root, _ in held)
        able = [bee for root, bee in held if (len(root.path), root.is_writable) == best]
    hands = session.hands if session is not None else ()
    return min(
        able,
        key=lambda bee: (
            not bee.is_connected,
            bee.is_late,
            -hands.index(bee.id) if bee.id in hands else 1,
            state.calls.open_of(bee.id),
            bee.asked_seq,
            *bee.lead,
        ),
    )


def remember(session: Session | None, hand: Client, seq: int) -> None:
    """Note that a forager serves a conversation, so that its next call goes there too."""
    if hand.files is None:
        return
    hand.asked_seq = seq
    if session is None or session.hands[-1:] == (hand.id,):
        return
    others = tuple(one for one in session.hands if one != hand.id)
    session.hands = (*others, hand.id)[-HANDS_MAX:]


def _sharers(state: State, tool: str) -> list[tuple[Client, Files]]:
    """Every forager with roots that has the tool, those on their way back too; first by name."""
    found = [
        (bee, bee.files)
        for bee in state.clients.bees()
        if bee.files is not None and any(tool == own["name"] for own in bee.tools)
    ]
    return sorted(found, key=lambda one: one[0].lead)


def _outside(path: str, sharers: list[tuple[Client, Files]]) -> str:
    """As each of them says it, of the roots of all."""
    roots = sorted({root for _, files in sharers for root in files.roots})
    told = [(root.path, "rw" if root.is_writable else "ro") for root in roots]
    return "\n".join(outside_roots(path, told))
