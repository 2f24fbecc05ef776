"""Wiring: settings, the model service, its models; then the bus."""

import logging
import random
from collections.abc import Mapping
from contextlib import aclosing

import anyio

from nest.lifecycle import Context
from nest.logs import register_secret
from nest.settings import openai_key
from nest.stop import Stop
from thrum.errors import SettingsRefused
from workers.openai.agent import OpenaiAgent
from workers.openai.upstream import Upstream, UpstreamFailed
from workers.service import offer

HIVE = "openai"
LIST_SECONDS_MIN = 0.5
LIST_SECONDS_MAX = 30.0
"""First and longest wait between two tries to list the models, each shortened by up to a half."""

log = logging.getLogger(__name__)


async def serve(context: Context) -> None:
    """Offer the service's models on the bus until asked to stop.

    The hello names the models, so it waits until they are known: an absent service delays it.
    """
    settings = context.settings.workers.openai
    key = openai_key(settings, context.paths, context.environ)
    if key is not None:
        _require_sendable(key)
        register_secret(key)
    elif settings.base_url is None:
        raise SettingsRefused(
            "no model service is configured: there is neither a base URL nor a key",
            hint="set OPENAI_BASE_URL or OPENAI_API_KEY, or workers.openai in hum.json",
        )
    async with aclosing(Upstream(settings.upstream, key, context.metrics)) as upstream:
        models = settings.models or _named(context.environ)
        models = models or await _listed(upstream, context.stop)
        if models:
            agent = OpenaiAgent(upstream, models)
            propensity = {"statefulness": "stateless", "wire": "openai/chat-completions"}
            await offer(context, agent, hive=HIVE, models=models, propensity=propensity)


def _require_sendable(key: str) -> None:
    """Raise `SettingsRefused` for a key that cannot stand in a header."""
    if not (key.isascii() and key.isprintable()):
        raise SettingsRefused(
            "the key of the model service has characters that no key has",
            hint="let OPENAI_API_KEY, or the file of workers.openai.keyFile, hold the key alone",
        )


def _named(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The models that `OPENAI_MODELS` names, separated by commas."""
    names = (name.strip() for name in environ.get("OPENAI_MODELS", "").split(","))
    return tuple(dict.fromkeys(name for name in names if name))


async def _listed(upstream: Upstream, stop: Stop) -> tuple[str, ...]:
    """The models that the service lists, once it does; none when asked to stop before that."""
    models: tuple[str, ...] = ()

    async def ask(scope: anyio.CancelScope) -> None:
        nonlocal models
        wait = LIST_SECONDS_MIN
        while not models:
            try:
                models = await upstream.models()
                reason = "the model service lists no models"
            except UpstreamFailed as failed:
                reason = failed.message
            if not models:
                log.warning("openai.no_models", extra={"reason": reason})
                await anyio.sleep(wait * random.uniform(0.5, 1.0))
                wait = min(wait * 2, LIST_SECONDS_MAX)
        scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, tasks.cancel_scope, name="openai.models")
        await stop.wait()
        tasks.cancel_scope.cancel()
    return models
