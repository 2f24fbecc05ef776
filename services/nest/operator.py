"""The operator on the bus: who may see and answer every permission-ask, by the key of this humd.

    async with operator(paths) as session:
        waiting = await session.asks()
        await session.decide(waiting[0], allow=True, by="ada")

A conversation of a moment: of two bees with one key the newer counts, so one at a time holds the
lock, and the next waits for it.
"""

import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, nullcontext
from typing import Any

import anyio

from nest.bee import Bee, Hello
from nest.identity import load_or_mint_identity
from nest.lifecycle import single_instance
from nest.link import Joined, Settled
from nest.metrics import Registry
from nest.paths import Paths, ensure_private
from nest.version import HUM_VERSION
from thrum.chi import Chi, LinkChi
from thrum.errors import DaemonAbsent, LocalError, SettingsRefused
from thrum.tones import Body, Tone

ROLE = "operator"
JOIN_SECONDS = 3.0
"""How long humd may take to answer the hello."""
ANSWER_SECONDS = 5.0
"""How long an answer or a decision may take to be on disk."""
TURN_SECONDS = 10.0
"""How long to wait for another who speaks as the operator at the same moment."""
LOOK_SECONDS = 0.02
WAITING = "asked"
"""The state of an ask that waits."""

Ask = dict[str, Any]


class AskOver(LocalError):
    """Nobody waits for this decision: it expired, was made by somebody else, or was withdrawn."""


class Operator:
    """A joined session; made by `operator`."""

    def __init__(self, paths: Paths, *, visits: bool) -> None:
        identity = load_or_mint_identity(paths.operator_key, prefix="fbee")
        hello = Hello(roles=(ROLE,), hive=ROLE, version=HUM_VERSION)
        body = {**hello.body(str(identity.hid)), "visit": visits}
        self.bee = Bee(identity, lambda: body, paths.bus_endpoint, Registry(), watcher=self)
        self._refused: dict[int, str] = {}

    async def asks(self) -> list[Ask]:
        """Every ask that waits and the latest that are over, the oldest first."""
        rid = secrets.token_hex(8)
        await self.bee.send(Tone(chi=LinkChi.VITALS, rid=rid, body={"ask": "asks"}))
        with anyio.move_on_after(ANSWER_SECONDS):
            async for tone in self.bee.inbox:
                if tone.rid != rid:
                    continue
                if isinstance(found := tone.body.get("asks"), list):
                    return found
                raise LocalError(str(tone.body.get("refused")), hint="hum status")
        raise DaemonAbsent("humd did not answer", hint="hum status; hum logs humd")

    async def find(self, number: int) -> Ask | None:
        """The ask of this number; None when there is none, or it has been over for long."""
        return next((ask for ask in await self.asks() if ask["id"] == number), None)

    async def ask(self, number: int) -> Ask:
        """As `find`; raises `LocalError` when there is none."""
        found = await self.find(number)
        if found is None:
            raise LocalError(f"there is no ask {number}", hint="hum asks --all")
        return found

    async def decide(self, ask: Ask, *, allow: bool, by: str) -> Ask:
        """Answer an ask for good and return what became of it; it is on disk then.

        Raises `AskOver` when nobody waits for it any more, and changes nothing.
        """
        if ask["state"] != WAITING:
            raise _over(ask)
        name, decision = ask["askId"], "allow" if allow else "deny"
        body: Body = {"askId": name, "permitId": name, "decision": decision, "by": by}
        number = await self.bee.send(Tone(chi=Chi.RELEASE_PERMIT, sid=ask["sid"], body=body))
        with anyio.move_on_after(ANSWER_SECONDS) as waiting:
            await self.bee.settled()
        if waiting.cancelled_caught:
            raise DaemonAbsent("the decision is not on disk", hint="hum logs thehum; hum asks")
        now = await self.ask(ask["id"])
        if (reason := self._refused.get(number)) is not None:
            raise AskOver(reason, hint="hum asks --all") if now["state"] == WAITING else _over(now)
        return now

    def joined(self, event: Joined) -> None:
        """Nothing more to do."""

    def settled(self, event: Settled) -> None:
        """Keep what was refused, for `decide`."""
        self._refused.update(event.refused)


def _over(ask: Ask) -> AskOver:
    by = f" by {ask['decided_by']}" if ask["decided_by"] else ""
    return AskOver(
        f"ask {ask['id']} is {ask['state']}{by}; nobody waits for a decision", hint="hum asks"
    )


@asynccontextmanager
async def operator(paths: Paths, *, visits: bool = False) -> AsyncIterator[Operator]:
    """Join as the operator for as long as the block runs.

    One that only `visits` may ask and decides nothing: the log has nothing of it, and it need not
    wait for others who speak as the operator.

    Raises `DaemonAbsent` when humd does not answer, `HelloRefused` when the key is not its own.
    """
    if not _is_served(paths):
        raise DaemonAbsent("humd does not run", hint="hum up")
    async with nullcontext() if visits else _turn(paths):
        session = Operator(paths, visits=visits)
        try:
            async with anyio.create_task_group() as tasks:
                with anyio.move_on_after(JOIN_SECONDS) as joining:
                    await tasks.start(session.bee.run)
                if joining.cancelled_caught:
                    raise DaemonAbsent("humd does not answer", hint="hum status; hum logs humd")
                yield session
                tasks.cancel_scope.cancel()
        except ExceptionGroup as group:
            raise _only(group) from None


@asynccontextmanager
async def _turn(paths: Paths) -> AsyncIterator[None]:
    """Hold the lock of the one who speaks as the operator."""
    ensure_private(paths.locks)
    until = anyio.current_time() + TURN_SECONDS
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(single_instance(paths.lock(ROLE), ROLE))
                break
            except SettingsRefused:
                if anyio.current_time() > until:
                    raise
            await anyio.sleep(LOOK_SECONDS)
        yield


def _is_served(paths: Paths) -> bool:
    """Whether anybody listens on the bus; libzmq would not tell."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(JOIN_SECONDS)
        try:
            probe.connect(str(paths.bus_socket))
        except OSError:
            return False
        return True


def _only(group: ExceptionGroup[Exception]) -> Exception:
    """What went wrong, when it was one thing."""
    problem: Exception = group
    while isinstance(problem, ExceptionGroup) and len(problem.exceptions) == 1:
        problem = problem.exceptions[0]
    return problem
