"""Wiring, and what each model can take."""

import logging

import orjson

from nest.lifecycle import Context
from workers.core.ollama import OllamaWire, context_in
from workers.models import Service, serve_models
from workers.upstream import UpstreamFailed

SHOWN_MAX = 64
"""Models whose context is asked for; the others get the usual one."""

log = logging.getLogger(__name__)


async def serve(context: Context) -> None:
    """Offer the service's models on the bus until asked to stop."""
    tokens = context.settings.workers.ollama.context_tokens
    await serve_models(
        context, "ollama", lambda: OllamaWire(tokens), speaks="ollama/chat", prepare=_learn
    )


async def _learn(service: Service) -> None:
    """Learn the context of each model; one that is not told gets the usual one."""
    assert isinstance(service.wire, OllamaWire)
    for model in service.models[:SHOWN_MAX]:
        try:
            shown = await service.upstream.get("POST", "/api/show", orjson.dumps({"model": model}))
        except UpstreamFailed as failed:
            log.warning("ollama.no_context", extra={"model": model, "reason": failed.message})
        else:
            if (length := context_in(shown)) is not None:
                service.wire.contexts[model] = length
