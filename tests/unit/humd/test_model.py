"""The router against a small model that is written from the rules, not from the router.

The model knows bees on the bus, two conversations, tool calls and asks. After each step everyone
must have heard exactly what the model says, in its order, and the same tones must be refused.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.support.world import World, hid_named

from humd.core.arrivals import Refusal

Step = Callable[[], None]
WORKERS = {"W": ["m"], "X": ["m", "n"]}
FORAGER, TOOL, OWN_TOOL = "F", "t", "ask"
ASKERS = ("A", "B", "C")
CLIENTS = (*WORKERS, FORAGER, *ASKERS)
SIDS = ("s", "z")
QUEUE_MAX = 8


@dataclass
class Talk:
    """One conversation as the model sees it."""

    owner: str | None = None
    worker: str | None = None
    is_open: bool = False
    queue: list[str] = field(default_factory=list)
    cancelled: int = 0
    watchers: dict[str, bool] = field(default_factory=dict)
    asks: set[str] = field(default_factory=set)

    def hears(self, besides: str | None = None) -> list[str]:
        heard = {who for who in (self.owner, *self.watchers) if who}
        return sorted(heard - {besides})

    def drives(self, who: str) -> bool:
        if self.owner == who:
            return True
        return not self.watchers[who] if who in self.watchers else self.owner is None


class Call(NamedTuple):
    """A tool call that waits."""

    id: str
    caller: str
    callee: str
    sid: str


class Model:
    """See the module. A step gives True when the tone is taken."""

    def __init__(self) -> None:
        self.here: set[str] = set()
        self.talks: dict[str, Talk] = {}
        self.calls: list[Call] = []
        self.later: list[Step] = []
        """What humd says itself because of a step: it comes behind what the step leads to."""
        self.out: dict[str, list[str]] = defaultdict(list)

    def busy(self, worker: str) -> int:
        return sum(talk.is_open and talk.worker == worker for talk in self.talks.values())

    def heard(self, who: str) -> list[str]:
        """What somebody heard since the last call."""
        while self.later:
            self.later.pop(0)()
        return self.out.pop(who, [])

    def tell(self, who: list[str], chi: str) -> None:
        for one in who:
            self.out[one].append(chi)

    def start(self, talk: Talk, model: str) -> None:
        able = [worker for worker in WORKERS if worker in self.here and model in WORKERS[worker]]
        if not able:
            self.later += [lambda: self.tell(talk.hears(), "error"), lambda: self.next(talk)]
            return
        stays = talk.worker in able
        order = {worker: (self.busy(worker), hid_named(worker)) for worker in able}
        talk.worker = talk.worker if stays else min(able, key=order.__getitem__)
        talk.is_open = True
        assert talk.worker is not None
        self.tell([talk.worker], "prompt")

    def next(self, talk: Talk) -> None:
        if talk.queue and not talk.is_open:
            self.start(talk, talk.queue.pop(0))

    def end(self, sid: str) -> None:
        talk = self.talks[sid]
        talk.is_open = False
        talk.asks.clear()
        for call in list(self.calls):
            if call.caller == talk.worker and call.sid == sid:
                self.calls.remove(call)
                self.later.append(partial(self.tell, [call.callee], "cancel"))
        cancelled, talk.cancelled = talk.cancelled, 0
        for _ in range(cancelled):
            self.later.append(lambda: self.tell(talk.hears(), "finish"))
        self.next(talk)

    def prompt(self, who: str, sid: str, model: str) -> bool:
        talk = self.talks.get(sid)
        if talk is not None and not talk.drives(who):
            return False
        if talk is not None and len(talk.queue) + talk.cancelled >= QUEUE_MAX:
            return False
        talk = self.talks.setdefault(sid, Talk())
        talk.owner = talk.owner or who
        if talk.is_open:
            talk.queue.append(model)
        else:
            self.start(talk, model)
        return True

    def output(self, who: str, sid: str, chi: str) -> bool:
        talk = self.talks.get(sid)
        if talk is None or talk.worker != who:
            return False
        self.tell(talk.hears(besides=who), chi)
        if chi in ("finish", "error") and talk.is_open:
            self.end(sid)
        return True

    def cancel(self, who: str, sid: str) -> bool:
        talk = self.talks.get(sid)
        if talk is None:
            return True
        if not talk.drives(who):
            return False
        if talk.is_open:
            talk.cancelled += len(talk.queue)
            talk.queue.clear()
            assert talk.worker is not None
            self.tell([talk.worker], "cancel")
        callers = {who, talk.worker} if talk.is_open else {who}
        for call in self.calls:
            if call.sid == sid and call.caller in callers and call.callee != who:
                self.later.append(partial(self.tell, [call.callee], "cancel"))
        return True

    def attach(self, who: str, sid: str, hear_only: bool) -> None:
        talk = self.talks.setdefault(sid, Talk())
        talk.watchers[who] = hear_only
        if talk.is_open and talk.owner is None and not hear_only:
            talk.owner = who

    def detach(self, who: str, sid: str) -> None:
        if (talk := self.talks.get(sid)) is not None:
            talk.watchers.pop(who, None)

    def call(self, who: str, sid: str, call_id: str, tool: str) -> bool:
        talk = self.talks.get(sid)
        if talk is not None and talk.worker != who and not talk.drives(who):
            return False
        is_own = talk is not None and talk.worker == who and tool == OWN_TOOL
        callee = FORAGER if tool == TOOL else None
        if talk is not None and is_own:
            callee = talk.owner
        for known in self.calls:
            if known.id == call_id and (known.caller == who or known.callee == (callee or who)):
                return False
        if talk is None:
            talk = self.talks.setdefault(sid, Talk(owner=who))
        if callee is None:
            self.tell([who], "error")
        else:
            self.calls.append(Call(call_id, who, callee, sid))
            self.tell(talk.hears(besides=who) if is_own else [callee], "tool-call")
        return True

    def result(self, who: str, call_id: str) -> bool:
        for call in self.calls:
            if call.id == call_id and call.callee == who:
                self.calls.remove(call)
                self.tell([call.caller], "tool-result")
                return True
        return False

    def ask(self, who: str, sid: str, ask_id: str) -> bool:
        talk = self.talks.get(sid)
        if talk is None or talk.worker != who or not talk.is_open or ask_id in talk.asks:
            return False
        talk.asks.add(ask_id)
        self.tell(talk.hears(besides=who), "permission-ask")
        return True

    def release(self, who: str, sid: str, ask_id: str) -> bool:
        talk = self.talks.get(sid)
        if talk is None or ask_id not in talk.asks or not talk.drives(who):
            return False
        talk.asks.discard(ask_id)
        assert talk.worker is not None
        self.tell([talk.worker], "release-permit")
        return True


class Same(RuleBasedStateMachine):
    """Both, step by step."""

    def __init__(self) -> None:
        super().__init__()
        self.world, self.model = World(), Model()
        for client in CLIENTS:
            self.join(client)

    def join(self, client: str) -> None:
        role = "worker" if client in WORKERS else "forager" if client == FORAGER else "asker"
        tools = [{"name": TOOL}] if client == FORAGER else []
        self.world.joins(client, role, models=WORKERS.get(client, []), tools=tools)
        self.model.here.add(client)

    def same(self, expected: bool, client: str, chi: str, **fields: object) -> None:
        verdict = self.world.says(client, chi, **fields)  # type: ignore[arg-type]
        assert isinstance(verdict, Refusal) is not expected, (client, chi, fields, verdict)

    who, sid = st.sampled_from(CLIENTS), st.sampled_from(SIDS)
    call_id = st.sampled_from(["c", "d"])

    @rule(who=who, sid=sid, model=st.sampled_from("mmno"))
    def prompt(self, who: str, sid: str, model: str) -> None:
        taken = self.model.prompt(who, sid, model)
        tools = [{"name": OWN_TOOL, "inputSchema": {}}]
        self.same(taken, who, "prompt", sid=sid, modelId=model, tools=tools)

    @rule(
        who=st.sampled_from(["W", "X", "A"]),
        sid=sid,
        chi=st.sampled_from(["chunk", "finish", "error", "pulse"]),
    )
    def output(self, who: str, sid: str, chi: str) -> None:
        self.same(self.model.output(who, sid, chi), who, chi, sid=sid)

    @rule(who=who, sid=sid)
    def cancel(self, who: str, sid: str) -> None:
        self.same(self.model.cancel(who, sid), who, "cancel", sid=sid)

    @rule(who=who, sid=sid, hear_only=st.booleans())
    def attach(self, who: str, sid: str, hear_only: bool) -> None:
        self.model.attach(who, sid, hear_only)
        self.same(True, who, "attach", sid=sid, hearOnly=hear_only)

    @rule(who=who, sid=sid)
    def detach(self, who: str, sid: str) -> None:
        self.model.detach(who, sid)
        self.same(True, who, "detach", sid=sid)

    @rule(who=who, sid=sid, call_id=call_id, tool=st.sampled_from([TOOL, OWN_TOOL, "nope"]))
    def call(self, who: str, sid: str, call_id: str, tool: str) -> None:
        taken = self.model.call(who, sid, call_id, tool)
        self.same(taken, who, "tool-call", sid=sid, callId=call_id, toolName=tool)

    @rule(who=who, call_id=call_id)
    def result(self, who: str, call_id: str) -> None:
        self.same(self.model.result(who, call_id), who, "tool-result", callId=call_id)

    @rule(who=st.sampled_from(["W", "X", "B"]), sid=sid, ask_id=st.sampled_from("pq"))
    def ask(self, who: str, sid: str, ask_id: str) -> None:
        taken = self.model.ask(who, sid, ask_id)
        self.same(taken, who, "permission-ask", sid=sid, askId=ask_id, tool="Bash")

    @rule(who=who, sid=sid, ask_id=st.sampled_from("pq"))
    def release(self, who: str, sid: str, ask_id: str) -> None:
        taken = self.model.release(who, sid, ask_id)
        self.same(taken, who, "release-permit", sid=sid, askId=ask_id, decision="allow")

    @invariant()
    def everyone_heard_the_same(self) -> None:
        for client in CLIENTS:
            assert self.world.chis(client) == self.model.heard(client), client


TestSame = Same.TestCase
TestSame.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
