"""Carries out scout's plans as a model would: calls, results, more calls, then the text."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from workers.core.conversation import user_text
from workers.core.scout import answers
from workers.core.scout.plans import Look, next_step
from workers.core.scout.requests import read_request
from workers.core.scout.views import View, read_view
from workers.turns import Call, Turn, TurnFailed

READ_TOOL = "humfs_read"
ROUNDS_MAX = 12
"""Times scout looks before it gives up."""
PIECE_WORDS = 6
"""Words of one streamed piece."""

_WORDS = re.compile(rf"(?:\S+\s*){{1,{PIECE_WORDS}}}|\s+")


class ScoutAgent:
    """Answers every prompt by itself; remembers nothing."""

    async def answer(self, turn: Turn) -> str:
        """Run one turn to its end; see `workers.turns`."""
        if not _was_introduced(turn.prompt):
            await turn.say(f"{answers.INTRODUCTION}\n\n")
        for piece in _pieces(await self._answer(turn)):
            await turn.say(piece)
        return "end_turn"

    async def embed(self, turn: Turn) -> str:
        """There is no model to do it."""
        raise TurnFailed("scout is no model and makes no embeddings", code=501)

    def forget(self, sid: str) -> None:
        """Nothing is remembered."""

    async def _answer(self, turn: Turn) -> str:
        request = read_request(user_text(turn.prompt))
        seen: dict[Look, View] = {}
        for _ in range(ROUNDS_MAX):
            step = next_step(request, seen)
            if not step.looks:
                return step.text
            if READ_TOOL not in turn.catalogue:
                return answers.NO_TOOL
            results = await turn.call([Call(READ_TOOL, look.args()) for look in step.looks])
            for look, result in zip(step.looks, results, strict=True):
                seen[look] = read_view(result.text, is_error=result.is_error)
        return answers.TOO_LONG


def _was_introduced(prompt: Mapping[str, Any]) -> bool:
    """Whether scout has said in this conversation what it is."""
    history = prompt.get("history")
    earlier = history if isinstance(history, list) else []
    said = (entry.get("content") for entry in earlier if isinstance(entry, dict))
    return any(isinstance(text, str) and answers.INTRODUCTION in text for text in said)


def _pieces(text: str) -> Iterator[str]:
    """The text in groups of words; together they are the text."""
    return (match[0] for match in _WORDS.finditer(text))
