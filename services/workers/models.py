"""Wiring of a worker for a model service: settings, the service, its models; then the bus."""

import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing

import anyio

from nest.lifecycle import Context
from nest.logs import register_secret
from nest.settings import ServiceKind, ServiceSettings, service_key
from nest.stop import Stop
from thrum.errors import SettingsRefused
from workers.agent import ModelAgent
from workers.attachments import Attachments
from workers.core.wires import Wire
from workers.service import offer
from workers.upstream import Upstream, UpstreamFailed

LIST_SECONDS_MIN = 0.5
LIST_SECONDS_MAX = 30.0
"""First and longest wait between two tries to list the models, each shortened by up to a half."""

log = logging.getLogger(__name__)

Prepare = Callable[[Upstream, tuple[str, ...]], Awaitable[None]]


async def _nothing(upstream: Upstream, models: tuple[str, ...]) -> None:
    """Most services need no more than a list of models."""


async def serve_models(
    context: Context,
    kind: ServiceKind,
    wire: Wire,
    *,
    speaks: str,
    prepare: Prepare = _nothing,
) -> None:
    """Offer a service's models on the bus until asked to stop.

    The hello names the models, so it waits until they are known: an absent service delays it.
    `prepare` learns more of the service before that; `speaks` names its dialect in the hello.
    """
    settings = context.settings.workers.of(kind)
    key = _require_service(kind, settings, context, wire)
    attachments = Attachments(context.paths.attachments)
    async with aclosing(
        Upstream(settings.upstream, key, wire, attachments, context.metrics)
    ) as upstream:
        models = settings.models or _named(context.environ, f"{kind.upper()}_MODELS")
        models = models or await _listed(upstream, context.stop, kind)
        if models:
            await prepare(upstream, models)
            agent = ModelAgent(upstream, models)
            propensity = {"statefulness": "stateless", "wire": speaks}
            await offer(context, agent, hive=kind, models=models, propensity=propensity)


def _require_service(
    kind: ServiceKind, settings: ServiceSettings, context: Context, wire: Wire
) -> str | None:
    """The key to use. Raises `SettingsRefused` when there is nowhere to ask, or a strange key."""
    key = service_key(kind, settings, context.paths, context.environ)
    if key is not None:
        if not (key.isascii() and key.isprintable()):
            raise SettingsRefused(
                "the key of the model service has characters that no key has",
                hint=f"let {wire.key_variable}, or the file of workers.{kind}.keyFile, "
                "hold the key alone",
            )
        register_secret(key)
    elif settings.base_url is None and wire.needs_place:
        raise SettingsRefused(
            "no model service is configured: there is neither a base URL nor a key",
            hint=f"set {kind.upper()}_BASE_URL or {wire.key_variable}, "
            f"or workers.{kind} in hum.json",
        )
    return key


def _named(environ: Mapping[str, str], variable: str) -> tuple[str, ...]:
    """The models that a variable names, separated by commas."""
    names = (name.strip() for name in environ.get(variable, "").split(","))
    return tuple(dict.fromkeys(name for name in names if name))


async def _listed(upstream: Upstream, stop: Stop, kind: str) -> tuple[str, ...]:
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
                log.warning("worker.no_models", extra={"kind": kind, "reason": reason})
                await anyio.sleep(wait * random.uniform(0.5, 1.0))
                wait = min(wait * 2, LIST_SECONDS_MAX)
        scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, tasks.cancel_scope, name="workers.models")
        await stop.wait()
        tasks.cancel_scope.cancel()
    return models
