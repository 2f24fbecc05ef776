"""The tool loop: ask the model, run the calls it wants side by side, ask again with the results."""

import time
from collections.abc import Callable, Sequence

import anyio
import orjson

from thrum.tones import Body
from workers.core.cache import AnswerCache, Heard, cache_key
from workers.core.completions import Completion, Delta, ToolCall, Usage, read_arguments
from workers.core.conversation import definitions_of, messages_of, sampling_of, thinking_in
from workers.core.defaults import Defaults, with_defaults
from workers.core.embeddings import grouped, wanted_of
from workers.core.memory import Memory
from workers.core.offers import Choice, Cooling, Offers
from workers.core.retries import RETRY_AFTER_SECONDS_MAX, RetryBudget
from workers.turns import Call, Result, Turn
from workers.upstream import Upstream, UpstreamFailed

ROUNDS_MAX = 32
"""Completions of one turn; a model that still wants tools then has its turn ended with `length`."""


Hits = Callable[[], None]

_OWN_FAULTS = frozenset({400, 413, 422})
"""A request that one model refuses with these, another would refuse as well."""


class ModelAgent:
    """Answers prompts with the models of one service or several."""

    def __init__(
        self,
        upstreams: Sequence[Upstream],
        offers: Offers,
        *,
        defaults: Sequence[Defaults] = (),
        cache: AnswerCache | None = None,
        hits: Hits = lambda: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`hits` counts answers that were given before."""
        self._upstreams = upstreams
        self._offers = offers
        self._defaults = defaults
        self._cache = cache or AnswerCache(0, 0)
        self._hits = hits
        self._retries = RetryBudget()
        self._cooling = Cooling()
        self._memory = Memory()
        self._now = now

    async def answer(self, turn: Turn) -> str:
        """Run one turn to its end; see `workers.turns`."""
        has_history = isinstance(turn.prompt.get("history"), list)
        messages = messages_of(turn.prompt, () if has_history else self._memory.recall(turn.sid))
        request = _request(turn, messages)
        usage = Usage()
        choices = await self._ready(turn)
        for _ in range(ROUNDS_MAX):
            choice, completion = await self._first(choices, turn, request, usage)
            choices = [choice]
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
        choice = self._choices(turn)[0]  # never another one: its vectors mean something else
        upstream = self._upstreams[choice.service]
        vectors = await upstream.embed(wanted_of(turn.prompt, choice.model))
        turn.usage = Usage(input_tokens=vectors.input_tokens).body()
        for group in grouped(vectors.packed):
            await turn.tell_vectors(group)
        return "end_turn"

    def forget(self, sid: str) -> None:
        """Drop what is remembered of a conversation."""
        self._memory.forget(sid)

    def _choices(self, turn: Turn) -> tuple[Choice, ...]:
        return self._offers.choices_of(turn.prompt.get("modelId"))

    async def _ready(self, turn: Turn) -> list[Choice]:
        """The choices of a turn, those that failed a moment ago last."""
        choices = self._choices(turn)
        order = self._cooling.order(choices, self._now())
        if order[0] != choices[0]:
            await turn.fall_back(choices[0].model, order[0].model, "it failed a moment ago")
        return order

    async def _first(
        self, choices: Sequence[Choice], turn: Turn, request: Body, usage: Usage
    ) -> tuple[Choice, Completion]:
        """The first choice that answers, and its answer. Raises what the last one failed with.

        Another is asked only while nothing of an answer has come, and not for a request that is
        wrong by itself.
        """
        for choice, following in zip(choices, [*choices[1:], None], strict=True):
            try:
                await self._obey(choice, is_patient=following is None)
                completion = await self._complete(
                    choice, turn, request, usage, is_patient=following is None
                )
            except UpstreamFailed as failed:
                if failed.is_passing:
                    self._cooling.failed(choice, self._now(), seconds=failed.retry_seconds)
                if following is None or failed.has_begun or failed.code in _OWN_FAULTS:
                    raise
                await turn.fall_back(choice.model, following.model, failed.message)
            else:
                self._cooling.answered(choice)
                return choice, completion
        raise AssertionError("a model has one choice at least")

    async def _complete(
        self, choice: Choice, turn: Turn, request: Body, usage: Usage, *, is_patient: bool
    ) -> Completion:
        upstream = self._upstreams[choice.service]
        request["model"] = turn.model = choice.model
        asked = with_defaults(request, self._defaults)
        is_cut = upstream.cuts(asked)
        if is_cut:
            await turn.warn_truncated()
        if not upstream.takes_thinking and (blocks := thinking_in(asked["messages"])):
            await turn.drop_thinking(blocks)
        heard = Heard()
        key = self._key(choice, turn, asked)
        if key is not None and (kept := self._cache.get(key, self._now())) is not None:
            self._hits()
            await turn.tell_cached()
            for delta in kept.deltas:
                await _tell(turn, delta)
            return kept.completion

        async def hear(delta: Delta) -> None:
            if key is not None:
                heard.add(delta)
            await _tell(turn, delta)

        try:
            completion = await upstream.complete(
                asked, hear, usage, is_patient=is_patient,
                may_retry=lambda: self._retries.take(turn.sid, self._now()),
            )  # fmt: skip
        finally:
            turn.usage = usage.body()
        if not is_cut and upstream.was_cut(asked, completion.usage):
            await turn.warn_truncated()
        elif key is not None:
            self._cache.put(key, completion, heard, self._now())
        return completion

    def _key(self, choice: Choice, turn: Turn, request: Body) -> bytes | None:
        """By what an answer is kept; None when the asker wants a fresh one, or none are kept."""
        if not self._cache.is_on or turn.prompt.get("cache") is False:
            return None
        return cache_key(choice.service, request, turn.prompt.get("account"))

    async def _obey(self, choice: Choice, *, is_patient: bool) -> None:
        """Wait as long as a service wants to be left alone; raise `UpstreamFailed` when too long.

        Without patience any wait is too long.
        """
        wait = self._cooling.asked_seconds(choice, self._now())
        if not wait:
            return
        if not is_patient or wait > RETRY_AFTER_SECONDS_MAX:
            raise UpstreamFailed(
                f"the service of {choice.model} wants to be left alone for {wait:.0f} s more",
                code=429, retry_after=str(wait),
            )  # fmt: skip
        await anyio.sleep(wait)


async def _tell(turn: Turn, delta: Delta) -> None:
    if delta.reasoning:
        await turn.think(delta.reasoning)
    if delta.signature:
        await turn.sign(delta.signature)
    for data in delta.redacted:
        await turn.redact(data)
    if delta.text:
        await turn.say(delta.text)


def _request(turn: Turn, messages: list[Body]) -> Body:
    """The request without its model."""
    sampling = sampling_of(turn.prompt, has_tools=bool(turn.catalogue))
    request: Body = {"messages": messages, **sampling}
    if turn.catalogue:
        request["tools"] = definitions_of(turn.catalogue)
    return request


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
