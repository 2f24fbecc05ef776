"""Wiring."""

from nest.lifecycle import Context
from workers.core.anthropic import AnthropicWire
from workers.models import serve_models


async def serve(context: Context) -> None:
    """Offer the service's models on the bus until asked to stop."""
    tokens = context.settings.workers.anthropic.answer_tokens_max
    await serve_models(
        context, "anthropic", lambda: AnthropicWire(tokens), speaks="anthropic/messages"
    )
