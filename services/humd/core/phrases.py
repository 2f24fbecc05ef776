"""Phrases by which a model gives away that it lost its context, for `humd.core.drone`.

critical   it says that there is no earlier context, that the conversation is new, or that it
           cannot see earlier messages
heavy      it introduces itself, quotes its own instructions, apologises for lacking access, or
           opens with a greeting and an offer of help
soft       it announces a search, asks what is meant, or hedges about scope and confirmation
"""

import re

from humd.core.drone import Suspicion

_EARLIER = "(previous|prior|earlier|past)"
_TALK = "(context|conversations?|messages?|history|chat)"

_TIERS: dict[Suspicion, tuple[str, ...]] = {
    Suspicion.CRITICAL: (
        rf"\b(no|without( any)?|(don't|do not) have( any)?) {_EARLIER} {_TALK}",
        rf"\bthis (appears|seems) to be (the (start|beginning) of )?(a|our|the) (new )?{_TALK}",
        rf"\b(this is|it's) (the (start|beginning) of our|our first|a (new|fresh)) {_TALK}",
        rf"\b(can't|cannot|unable to) (see|access|recall|view) ((any|the|our) )?{_EARLIER} {_TALK}",
    ),
    Suspicion.HEAVY: (
        r"\bi('m| am) (an ai|a language model|an assistant|claude|chatgpt)\b",
        r"\bas an ai( language model| assistant)?\b",
        r"\bmy (system prompt|instructions) (says?|states?|tells?|are|is)\b",
        r"\b(sorry|apologi[sz]e)\b.{0,60}\b(don't|do not|no) (have )?access\b",
        r"^\W*(hi|hello|hey)\b.{0,80}\bhow (can|may) i (help|assist)",
    ),
    Suspicion.SOFT: (
        r"\b(let me|i'll|i will|i'm going to) (first )?(check|search|look|explore|find|examine)\b",
        r"\b(what|which) (are you|do you) (referring|mean|refer)\b",
        r"\bcould you (clarify|confirm|specify|provide more)",
        r"\bbefore i (proceed|start|continue)\b",
        r"\b(would you like me to|shall i) (proceed|continue)\b",
    ),
}
_PATTERNS = {
    tier: re.compile("|".join(patterns), re.IGNORECASE | re.DOTALL)
    for tier, patterns in _TIERS.items()
}


def classify(text: str) -> Suspicion:
    """The gravest tier of which the text has a phrase."""
    found = (tier for tier, pattern in _PATTERNS.items() if pattern.search(text))
    return next(found, Suspicion.NONE)
