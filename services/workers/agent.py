"""The tool loop: ask the model, run the calls it wants side by side, ask again with the results."""

import orjson

from thrum.tones import Body
from workers.core.completions import Completion, Delta, ToolCall, Usage, read_arguments
from workers.core.conversation import definitions_of, messages_of, sampling_of
from workers.core.embeddings import grouped, wanted_of
from workers.core.memory import Memory
from workers.turns import Call, Result, Turn
from workers.upstream import Upstream

ROUNDS_MAX = 32
"""Completions of one turn; a model that still wants tools then has its turn ended with `length`."""


class ModelAgent:
    """Answers prompts with the models of one service."""

    def __init__(self, upstream: Upstream, models: tuple[str, ...]) -> None:
        self._upstream = upstream
        self._models = models
        self._memory = Memory()

    async def answer(self, turn: Turn) -> str:
        """Run one turn to its end; see `workers.turns`."""
        has_history = isinstance(turn.prompt.get("history"), list)
        messages = messages_of(turn.prompt, () if has_history else self._memory.recall(turn.sid))
        request = self._request(turn, messages)
        usage = Usage()
        if self._upstream.cuts(request):
            await turn.warn_truncated()
        for _ in range(ROUNDS_MAX):
            completion = await self._complete(turn, request, usage)
            if not completion.wants_calls:
                if not has_history:
                    self._memory.remember(turn.sid, [*messages, completion.message()])
                return completion.stop
            messages.append(completion.message())
            messages += await _run(turn, list(completion.calls.values()))
            if request.get("tool_choice") not in (None, "none"):
                request["tool_choice"] = "auto"  # it was about the first call
        return "length"

    async def embed(self, turn: Turn) -> str:
        """Answer with vectors; see `workers.turns`."""
        vectors = await self._upstream.embed(wanted_of(turn.prompt, self._models))
        turn.usage = Usage(input_tokens=vectors.input_tokens).body()
        for group in grouped(vectors.packed):
            await turn.tell_vectors(group)
        return "end_turn"

    def forget(self, sid: str) -> None:
        """Drop what is remembered of a conversation."""
        self._memory.forget(sid)

    def _request(self, turn: Turn, messages: list[Body]) -> Body:
        model = turn.prompt.get("modelId")
        request: Body = {
            "model": model if isinstance(model, str) and model else self._models[0],
            "messages": messages,
            **sampling_of(turn.prompt, has_tools=bool(turn.catalogue)),
        }
        if turn.catalogue:
            request["tools"] = definitions_of(turn.catalogue)
        return request

    async def _complete(self, turn: Turn, request: Body, usage: Usage) -> Completion:
        async def hear(delta: Delta) -> None:
            if delta.reasoning:
                await turn.think(delta.reasoning)
            if delta.signature:
                await turn.sign(delta.signature)
            if delta.text:
                await turn.say(delta.text)

        try:
            return await self._upstream.complete(request, hear, usage)
        finally:
            turn.usage = usage.body()


async def _run(turn: Turn, wanted: list[ToolCall]) -> list[Body]:
    """Run the calls that can be run; return a message of role `tool` for each, in order."""
    runnable: dict[int, Call] = {}
    results: dict[int, Result] = {}
    for place, call in enumerate(wanted):
        args = read_arguments(call.arguments)
        if call.name not in turn.catalogue:
            known = ", ".join(turn.catalogue) or "none"
            reason = f"there is no tool {call.name!r}; there are: {known}"
            results[place] = Result(reason, is_error=True)
        elif args is None:
            reason = "the arguments are not a JSON object; write them again"
            results[place] = Result(reason, is_error=True)
        else:
            runnable[place] = Call(call.name, args)
    if runnable:
        results.update(zip(runnable, await turn.call(list(runnable.values())), strict=True))
    return [
        {"role": "tool", "tool_call_id": call.id, "content": _content(results[place])}
        for place, call in enumerate(wanted)
    ]


def _content(result: Result) -> str:
    """The result as the model reads it; the dialect has no flag for a failure."""
    return orjson.dumps({"error": result.text}).decode() if result.is_error else result.text
