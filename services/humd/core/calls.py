"""Tool calls that wait for an answer, by who was asked and by who asked."""

from dataclasses import dataclass, replace

from humd.core.arrivals import ClientId

CALLS_MAX = 65_536
"""Tool calls that wait for an answer."""
ID_CHARS_MAX = 1_024
"""Of a callId, an askId, a model or a tool: tables are kept by them."""
CALL_MS = 310_000
"""How long a tool call may take whose tool does not say; workers give up 10 s before."""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call on its way: `callee` alone may answer it."""

    call_id: str
    caller: ClientId
    callee: ClientId
    sid: str | None
    tool: str
    due_ms: int
    extra_ms: int = 0
    """How much longer than others it may take, because its tool says so."""

    @property
    def is_patient(self) -> bool:
        """Whether it is given more time than others."""
        return self.extra_ms > 0


class Calls:
    """Waiting calls. Callers choose their ids, so an id is one only with its callee or caller."""

    def __init__(self) -> None:
        self.waiting: dict[tuple[ClientId, str], Call] = {}
        self._by_caller: dict[ClientId, dict[str, Call]] = {}
        self._by_callee: dict[ClientId, dict[str, Call]] = {}

    def get(self, callee: ClientId, call_id: str) -> Call | None:
        """The call that `callee` was asked under this id."""
        return self.waiting.get((callee, call_id))

    def made(self, caller: ClientId, call_id: str) -> Call | None:
        """The call that `caller` made under this id."""
        return self._by_caller.get(caller, {}).get(call_id)

    def add(self, call: Call) -> None:
        """Wait for one more answer."""
        self.waiting[call.callee, call.call_id] = call
        self._by_caller.setdefault(call.caller, {})[call.call_id] = call
        self._by_callee.setdefault(call.callee, {})[call.call_id] = call

    def remove(self, call: Call) -> None:
        """It is answered, or void."""
        self.waiting.pop((call.callee, call.call_id), None)
        for index, client in ((self._by_caller, call.caller), (self._by_callee, call.callee)):
            mine = index.get(client, {})
            mine.pop(call.call_id, None)
            if not mine:
                index.pop(client, None)

    def reindex(self) -> None:
        """Find calls by either side again."""
        self._by_caller.clear()
        self._by_callee.clear()
        for call in self.waiting.values():
            self._by_caller.setdefault(call.caller, {})[call.call_id] = call
            self._by_callee.setdefault(call.callee, {})[call.call_id] = call

    def hand_over(self, old: ClientId, new: ClientId) -> None:
        """What `old` was asked and asked for is `new`'s."""
        mine = {*self._by_caller.get(old, {}).values(), *self._by_callee.get(old, {}).values()}
        for call in mine:
            self.remove(call)
            caller, callee = (
                new if party == old else party for party in (call.caller, call.callee)
            )
            self.add(replace(call, caller=caller, callee=callee))
        if mine:
            made = sorted(
                self.waiting.values(), key=lambda call: (call.due_ms - call.extra_ms, call.callee)
            )
            self.waiting = {(call.callee, call.call_id): call for call in made}

    @property
    def is_full(self) -> bool:
        return len(self.waiting) >= CALLS_MAX

    def of_callee(self, client: ClientId) -> list[Call]:
        """What a client was asked, the oldest first."""
        return list(self._by_callee.get(client, {}).values())

    def open_of(self, client: ClientId) -> int:
        """How many calls a client was asked and has not answered."""
        return len(self._by_callee.get(client, ()))

    def of_caller(self, client: ClientId) -> list[Call]:
        """What a client asked for, the oldest first."""
        return list(self._by_caller.get(client, {}).values())

    def overdue(self, now_ms: int) -> list[Call]:
        """Calls past their time.

        They were added in the order they were made, which but for patient ones is the order they
        fall due; so nothing behind the first other one that is not due is due.
        """
        late: list[Call] = []
        for call in self.waiting.values():
            if call.due_ms <= now_ms:
                late.append(call)
            elif not call.is_patient:
                break
        return late
