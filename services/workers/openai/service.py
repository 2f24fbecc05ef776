"""Wiring."""

from nest.lifecycle import Context
from workers.core.wires import OpenaiWire
from workers.models import serve_models


async def serve(context: Context) -> None:
    """Offer the service's models on the bus until asked to stop."""
    await serve_models(context, "openai", OpenaiWire, speaks="openai/chat-completions")
