"""The routes. Whoever asks is on this machine; `nest.guard` stands before all of it."""

import hmac
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from starlette.exceptions import HTTPException as HTTPError

from nest.guard import App, Receive, Scope, Send
from nest.metrics import Registry
from nest.paths import Paths
from nest.supervisor import Supervisor, SupervisorFault, UnknownProgram
from sidecar.asks import asks_router
from sidecar.bus import Bus
from sidecar.exposition import registry_of, weakest_sandbox
from thrum.errors import DaemonAbsent, HumError

PROBLEM_JSON = "application/problem+json"
TITLES = {
    400: "refused",
    401: "not admitted",
    404: "not found",
    405: "not allowed",
    409: "over already",
    503: "not ready",
}
DAYS_KEPT = 35
"""Days whose use humd keeps at least: the latest ones on which something was used."""
EVENTS_MAX = 256
"""Events on one page."""


class Health(BaseModel):
    """This process answers."""

    status: str = "ok"


class Index(BaseModel):
    """What is here."""

    version: str
    routes: dict[str, str]
    """What each does, by method and path. Those under `/api` want the token."""


class Readiness(BaseModel):
    """A hello was answered and an event reached the disk."""

    status: str = "ready"
    append_seconds: float
    bees: list[str]
    """Names of the bees that are connected."""
    sandbox: str | None
    """How strong the sandbox of commands is: `full`, `partial` or `none`; the weakest of several
    file tools. Null when nobody says."""


class Bees(BaseModel):
    """Manifests as in `bees.json`, each with `connected`."""

    bees: list[dict[str, Any]]


class Costs(BaseModel):
    """What was used on a day of UTC, and every budget as it stands: what is shown is enforced."""

    at_ms: int
    day_ms: int
    rows: list[dict[str, Any]]
    """One for each key, agent, model and schedule; money in millionths of a dollar."""
    budgets: list[dict[str, Any]]
    keys: list[dict[str, Any]]
    """What each key has used in the windows that are open."""
    unknown_price: str


def midnight_ms(day: date) -> int:
    """When a day of UTC begins."""
    return int(datetime.combine(day, time(), UTC).timestamp()) * 1_000


def unanswerable(day: date, found: Costs) -> str:
    """Why what was `found` is no answer for `day`; empty when it is one."""
    today = datetime.fromtimestamp(found.at_ms // 1_000, UTC).date()
    if day > today:
        return f"it is {today} now (UTC), and {day} has not begun"
    if found.day_ms != midnight_ms(day):
        return f"what was used on {day} cannot be told"
    if not found.rows and (today - day).days >= DAYS_KEPT:
        return f"what was used {DAYS_KEPT} days ago and before is not kept, unless it is the latest"
    return ""


class Page(BaseModel):
    """Stored lines of the log, as they are on disk."""

    events: list[str]
    next_seq: int | None
    first_seq: int
    head_seq: int
    head_hash: str


class Restarted(BaseModel):
    """The service was stopped and runs again."""

    service: str


class Problem(BaseModel):
    """RFC 9457 problem details."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


def build(
    bus: Bus,
    registry: Registry,
    supervisor: Supervisor,
    paths: Paths,
    *,
    token: str,
    version: str,
) -> FastAPI:
    """The application. `token` opens everything under `/api`."""
    app = FastAPI(title="hum sidecar", version=version, docs_url=None, redoc_url=None)
    seconds = registry.histogram("hum_readyz_seconds", "From asking for readiness to the disk.")
    bearer = HTTPBearer(auto_error=False, description="the content of sidecar.token")

    def admitted(
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
    ) -> None:
        given = credentials.credentials if credentials else ""
        if not hmac.compare_digest(given.encode(), token.encode()):
            raise HTTPException(401, "send the token from sidecar.token: Authorization: Bearer ...")

    admin = [Depends(admitted)]
    refusals = _described(401, 503)

    @app.exception_handler(HTTPError)
    async def problem(request: Request, error: HTTPError) -> JSONResponse:
        detail = str(error.detail)
        if "route" not in request.scope:
            detail = "nothing is here; GET / lists what there is"
        return _problem(error.status_code, detail, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        found = [{name: one[name] for name in ("loc", "msg", "type")} for one in error.errors()]
        content = json.dumps({"detail": found})  # without the input, which may be no JSON
        return Response(content, 422, media_type="application/json")

    @app.exception_handler(HumError)
    async def not_ready(_: Request, error: HumError) -> JSONResponse:
        return _problem(503, str(error))

    @app.get("/", summary="What is here")
    async def index() -> Index:
        described = app.openapi()["paths"].items()
        routes = {
            f"{method.upper()} {path}": operation["summary"]
            for path, operations in described
            for method, operation in operations.items()
        }
        return Index(version=version, routes=routes)

    @app.get("/healthz", summary="Does this process answer?")
    async def healthz() -> Health:
        return Health()

    @app.get(
        "/readyz",
        summary="Is a hello answered, and does an event reach the disk?",
        responses=_described(503),
    )
    async def readyz() -> Readiness:
        taken = await bus.append()
        seconds.observe(taken)
        bees = await bus.bees()
        names = sorted({str(bee["name"]) for bee in bees if bee.get("connected")})
        sandbox = weakest_sandbox(await bus.vitals())
        return Readiness(append_seconds=taken, bees=names, sandbox=sandbox)

    @app.get(
        "/metrics",
        summary="Metrics of every process, for Prometheus",
        response_class=PlainTextResponse,
        responses=_described(503),
    )
    async def metrics() -> Response:
        own = {"hive": "sidecar", "metrics": registry.snapshot()}
        text = generate_latest(registry_of([own, *await bus.vitals()]))
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    @app.get("/api/bees", summary="Who is connected", dependencies=admin, responses=refusals)
    async def bees() -> Bees:
        return Bees(bees=await bus.bees())

    @app.get("/api/costs", summary="What was used", dependencies=admin, responses=refusals)
    async def costs(day: date | None = None) -> Costs:
        found = Costs.model_validate(await bus.costs(None if day is None else midnight_ms(day)))
        if day is not None and (why := unanswerable(day, found)):
            wrong = {"loc": ("query", "day"), "msg": why, "type": "day"}
            raise RequestValidationError([wrong])
        return found

    @app.get("/api/log", summary="A page of the signed log", dependencies=admin, responses=refusals)
    async def log(
        from_seq: Annotated[int, Query(ge=1, le=2**53)] = 1,
        limit: Annotated[int, Query(ge=1, le=EVENTS_MAX)] = EVENTS_MAX,
    ) -> Page:
        return Page.model_validate(await bus.page(from_seq, limit))

    answers = _described(400, 401, 404, 409, 503)
    app.include_router(asks_router(bus, paths, dependencies=admin, responses=answers))

    @app.post(
        "/api/services/{service}/restart",
        summary="Stop a service and start it again",
        dependencies=admin,
        responses=_described(401, 404, 503),
    )
    def restart(service: str) -> Restarted:
        try:
            supervisor.restart(service)
        except UnknownProgram as error:
            raise HTTPException(404, error.message) from error
        except (DaemonAbsent, SupervisorFault) as error:
            raise HTTPException(503, error.message) from error
        return Restarted(service=service)

    return app


def only_metrics(app: App) -> App:
    """`/metrics` of an application, and nothing else of it."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        here = app if scope["path"] == "/metrics" else _problem(404, "only /metrics is here")
        await here(scope, receive, send)

    return serve


def _problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    title = TITLES.get(status, "refused")
    body = Problem(title=title, status=status, detail=detail).model_dump()
    return JSONResponse(body, status, headers, media_type=PROBLEM_JSON)


def _described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Problems with these statuses, for the OpenAPI document."""
    content = {PROBLEM_JSON: {"schema": Problem.model_json_schema()}}
    return {status: {"description": TITLES[status], "content": content} for status in statuses}
