"""Permission-asks over HTTP: shown by what humd tells us, answered with the operator's key.

Looking leaves nothing in the log, so a page may look as often as it likes.
"""

from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, HTTPException, Path
from pydantic import BaseModel, Field

from nest.operator import AskOver, operator
from nest.paths import Paths
from sidecar.bus import Bus

BY = "http"
"""Who is said to have decided when the request does not name anybody."""
BY_CHARS_MAX = 256
Number = Annotated[int, Path(ge=1, le=2**53)]


class Ask(BaseModel):
    """What an agent wants consent for, and what became of it."""

    id: int
    """Seq of the event that asked."""
    askId: str  # noqa: N815 - its name on the wire
    sid: str
    tool: str
    state: Literal["asked", "allowed", "denied", "expired", "withdrawn"]
    asked_ms: int
    due_ms: int
    over_ms: int | None
    decided_by: str | None
    """Hid of who allowed or denied it; never set by time alone."""


class Asks(BaseModel):
    """Asks, the oldest first."""

    asks: list[Ask]


class AskInFull(Ask):
    """An ask and what it said, as far as its line in the log has it."""

    body: dict[str, Any]


class Decision(BaseModel):
    """The answer to an ask."""

    decision: Literal["allow", "deny"]
    by: Annotated[str, Field(min_length=1, max_length=BY_CHARS_MAX)] = BY
    """Who decides, for the record."""


def asks_router(bus: Bus, paths: Paths, **options: Any) -> APIRouter:
    """The routes below `/api/asks`; `options` are those of every route."""
    router = APIRouter(prefix="/api/asks", **options)

    @router.get("", summary="What agents wait for consent to")
    async def asks(*, every: bool = False) -> Asks:
        found = [Ask.model_validate(ask) for ask in await bus.asks()]
        return Asks(asks=[ask for ask in found if every or ask.state == "asked"])

    @router.get("/{number}", summary="One ask, and what it is about")
    async def ask(number: Number) -> AskInFull:
        found = next((ask for ask in await bus.asks() if ask["id"] == number), None)
        if found is None:
            raise HTTPException(404, f"there is no ask {number}")
        events = (await bus.page(number, 1))["events"]
        body = orjson.loads(events[0])["body"] if events else {}
        shown = {key: value for key, value in body.items() if not key.startswith("@")}
        return AskInFull(**found, body=shown)

    @router.post("/{number}", summary="Allow or deny, once")
    async def decide(number: Number, wanted: Decision) -> Ask:
        async with operator(paths) as session:
            found = await session.find(number)
            if found is None:
                raise HTTPException(404, f"there is no ask {number}")
            try:
                over = await session.decide(found, allow=wanted.decision == "allow", by=wanted.by)
            except AskOver as error:
                raise HTTPException(409, error.message) from error
        return Ask.model_validate(over)

    return router
