"""Wiring, and what each model can take."""

import logging

import orjson

from nest.lifecycle import Context
from workers.core.ollama import OllamaWire, context_in
from workers.models import serve_models
from workers.upstream import Upstream, UpstreamFailed

SHOWN_MAX = 64
"""Models whose context is asked for; the others get the usual one."""

log = logging.getLogger(__name__)


async def serve(context: Context) -> None:
    """Offer the service's models on the bus until asked to stop."""
    wire = OllamaWire(context.settings.workers.ollama.context_tokens)

    async def prepare(upstream: Upstream, models: tuple[str, ...]) -> None:
        """Learn the context of each model; one that is not told gets the usual one."""
        for model in models[:SHOWN_MAX]:
            try:
                shown = await upstream.get("POST", "/api/show", orjson.dumps({"model": model}))
            except UpstreamFailed as failed:
                log.warning("ollama.no_context", extra={"model": model, "reason": failed.message})
            else:
                if (length := context_in(shown)) is not None:
                    wire.contexts[model] = length

    await serve_models(context, "ollama", wire, speaks="ollama/chat", prepare=prepare)
