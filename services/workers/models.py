"""Wiring of a worker for model services: settings, the services, their models; then the bus."""

import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass

import anyio

from nest.lifecycle import Context
from nest.logs import register_secret
from nest.settings import FurtherService, ModelSettings, ServiceKind, ServiceSettings, service_key
from nest.stop import Stop
from thrum.errors import SettingsRefused
from workers.agent import ModelAgent
from workers.attachments import Attachments
from workers.core.cache import AnswerCache
from workers.core.defaults import Defaults
from workers.core.offers import offers_of
from workers.core.wires import Wire
from workers.service import offer
from workers.upstream import Upstream, UpstreamFailed

LIST_SECONDS_MIN = 0.5
LIST_SECONDS_MAX = 30.0
"""First and longest wait between two tries to list the models, each shortened by up to a half."""
LATE_SECONDS = 5.0
"""Once one service is known, how long the others may take to say what they have."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Service:
    """One service of the worker."""

    name: str
    upstream: Upstream
    wire: Wire
    models: tuple[str, ...]
    """Empty until they are known."""


Prepare = Callable[[Service], Awaitable[None]]


async def _nothing(service: Service) -> None:
    """Most services need no more than a list of models."""


async def serve_models(
    context: Context,
    kind: ServiceKind,
    make_wire: Callable[[], Wire],
    *,
    speaks: str,
    prepare: Prepare = _nothing,
) -> None:
    """Offer the models of all services of a kind on the bus until asked to stop.

    The hello names the models, so it waits until some are known: an absent service delays it.
    `prepare` learns more of a service before that; `speaks` names its dialect in the hello.
    """
    settings = context.settings.workers.of(kind)
    async with _opened(context, kind, settings, make_wire) as services:
        await _know(services, context.stop, kind)
        known = [service for service in services if service.models]
        if not known:
            return
        for service in known:
            await prepare(service)
        offers = offers_of(
            [(service.name, service.models) for service in known],
            [(alias.name, alias.models) for alias in settings.aliases],
        )
        for alias, model in offers.unknown:
            log.warning("worker.alias_unknown", extra={"alias": alias, "model": model})
        hits = context.metrics.counter(
            "hum_worker_cache_hits_total",
            "Completions that were answered before, and cost nothing.",
        )
        agent = ModelAgent(
            [service.upstream for service in known],
            offers,
            defaults=[_defaults(chosen) for chosen in settings.per_model],
            cache=AnswerCache(settings.cache.bytes_max, settings.cache.seconds),
            hits=hits.inc,
        )
        propensity = {"statefulness": "stateless", "wire": speaks}
        await offer(context, agent, hive=kind, models=offers.names, propensity=propensity)


def _defaults(chosen: ModelSettings) -> Defaults:
    """What settings say of some models, by the names that a request has for it."""
    told = {
        "temperature": None if chosen.temperature is None else float(chosen.temperature),
        "top_p": None if chosen.top_p is None else float(chosen.top_p),
        "reasoning_effort": chosen.reasoning_effort,
        "num_ctx": chosen.context_tokens,
        "max_tokens": chosen.answer_tokens,
    }
    parameters = {name: value for name, value in told.items() if value is not None}
    return Defaults(chosen.model, parameters, chosen.answer_tokens_max)


@asynccontextmanager
async def _opened(
    context: Context, kind: ServiceKind, settings: ServiceSettings, make_wire: Callable[[], Wire]
) -> AsyncIterator[list[Service]]:
    """Every service that is configured. Raises `SettingsRefused` when there is none."""
    environ, paths = context.environ, context.paths
    attachments = Attachments(paths.attachments)
    async with AsyncExitStack() as held:
        services: list[Service] = []

        async def add(
            name: str, url: str, chosen: ServiceSettings | FurtherService, models: Sequence[str]
        ) -> None:
            wire = make_wire()
            key = _checked(service_key(kind, chosen, paths, environ), wire)
            upstream = Upstream(url, key, wire, attachments, context.metrics)
            await held.enter_async_context(aclosing(upstream))
            services.append(Service(name, upstream, wire, tuple(models)))

        if _has_main(kind, settings, context, make_wire()):
            models = settings.models or _named(environ, f"{kind.upper()}_MODELS")
            await add(kind, settings.upstream, settings, models)
        for further in settings.services:
            await add(further.name, (further.base_url or "").rstrip("/"), further, further.models)
        yield services


def _has_main(kind: ServiceKind, settings: ServiceSettings, context: Context, wire: Wire) -> bool:
    """Whether the section itself names a service. Raises `SettingsRefused` when nothing does."""
    key = service_key(kind, settings, context.paths, context.environ)
    if key is not None or settings.base_url is not None:
        return True
    if settings.services:
        return False
    if wire.needs_place:
        raise SettingsRefused(
            "no model service is configured: there is neither a base URL nor a key",
            hint=f"set {kind.upper()}_BASE_URL or {wire.key_variable}, "
            f"or workers.{kind} in hum.json",
        )
    return True


def _checked(key: str | None, wire: Wire) -> str | None:
    """A key that can travel in a header. Raises `SettingsRefused` for one that cannot."""
    if key is not None:
        if not (key.isascii() and key.isprintable()):
            raise SettingsRefused(
                "the key of the model service has characters that no key has",
                hint=f"let {wire.key_variable}, or the file of workers.{wire.hive}.keyFile, "
                "hold the key alone",
            )
        register_secret(key)
    return key


def _named(environ: Mapping[str, str], variable: str) -> tuple[str, ...]:
    """The models that a variable names, separated by commas."""
    names = (name.strip() for name in environ.get(variable, "").split(","))
    return tuple(dict.fromkeys(name for name in names if name))


async def _know(services: Sequence[Service], stop: Stop, kind: str) -> None:
    """Return once services said what they have, or when asked to stop.

    One that says nothing while another is known is left out, and the log says so.
    """
    async with anyio.create_task_group() as tasks:

        async def ask(scope: anyio.CancelScope) -> None:
            async with anyio.create_task_group() as asking:

                def known() -> None:
                    asking.cancel_scope.deadline = anyio.current_time() + LATE_SECONDS

                for service in services:
                    if service.models:
                        known()
                    else:
                        asking.start_soon(_list, service, kind, known, name="workers.models")
            scope.cancel()

        tasks.start_soon(ask, tasks.cancel_scope, name="workers.know")
        await stop.wait()
        tasks.cancel_scope.cancel()
    for service in services:
        if not service.models:
            log.warning("worker.service_left_out", extra={"kind": kind, "service": service.name})


async def _list(service: Service, kind: str, known: Callable[[], None]) -> None:
    """Have the service list its models, until it does; `known` is told then."""
    wait = LIST_SECONDS_MIN
    while not service.models:
        try:
            service.models = await service.upstream.models()
            reason = "the model service lists no models"
        except UpstreamFailed as failed:
            reason = failed.message
        if not service.models:
            log.warning("worker.no_models", extra={"kind": kind, "reason": reason})
            await anyio.sleep(wait * random.uniform(0.5, 1.0))
            wait = min(wait * 2, LIST_SECONDS_MAX)
    known()
