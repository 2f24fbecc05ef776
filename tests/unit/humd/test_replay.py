"""A replay of the log gives the state that there was; and what humd delivers follows one rule."""

import base64
from typing import Any

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.support.world import OURS, World, hid_named, tables

from humd.core import router
from humd.core.arrivals import Arrival, Deliver
from humd.core.leaves import Frozen, freeze, leaves
from humd.core.replay import arrival_of
from thehum.core.keeping import Aside, stub
from thrum import frames
from thrum.chi import OUTPUT, Chi
from thrum.errors import MalformedTone
from thrum.snapshots import Leaf, root_of

pytestmark = pytest.mark.timeout(120)  # five seconds on a machine of its own

PEER = f"M/{hid_named('peer', prefix='humd')}"
ROLES: dict[str, tuple[str, dict[str, object]]] = {
    "W": ("worker", {"models": ["m"], "chis": ["drone"]}),
    "X": ("worker", {"models": ["m", "n"]}),
    "F": ("forager", {"tools": [{"name": "t"}], "provides": ["fs"]}),
    "A": ("asker", {}),
    "B": ("asker", {}),
    "D": ("door", {}),
    "E": ("door", {}),
    "D/a": ("asker", {"hid": "a"}),
    "E/a": ("asker", {"hid": "a"}),
    "D/w": ("worker", {"hid": "w", "models": ["n"]}),
    "E/w": ("worker", {"hid": "w", "models": ["n"]}),
    "O": ("operator", {}),
    "M": ("ensemble", {}),
    PEER: ("peer", {"grants": ["prompt", "tool-call", "attach"]}),
}
PLACES = (None, "/x", f"hum://{PEER[2:]}/x", "hum://box/y z", "hum://nowhere/x", f"hum://{OURS}/x")
"""Where a prompt may say that its files are."""
CLIENTS = sorted(ROLES)
BUS = [name for name in CLIENTS if "/" not in name]
SIDS = ("s", "z")
CALLS = ("c", "d")
WORK = ("chunk", "finish", "error", "tool-call", "permission-ask")


class Traffic(RuleBasedStateMachine):
    """Anything that a bus with some bees can see, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.checked = 0
        self.taken_at, self.taken, self.frozen = 0, list[Leaf](), Frozen()
        """The last snapshot: how many events were before it, its leaves, and how it began."""

    def joins(self, client: str) -> None:
        role, body = ROLES[client]
        self.world.joins(client, role, **body)  # type: ignore[arg-type]

    @rule(client=st.sampled_from(CLIENTS))
    def join(self, client: str) -> None:
        self.joins(client)

    @rule(
        client=st.sampled_from(CLIENTS),
        sid=st.sampled_from(SIDS),
        model=st.sampled_from("mno"),
        to=st.sampled_from([None, None, PEER[2:], "humd"]),
        place=st.sampled_from(PLACES),
    )
    def prompt(self, client: str, sid: str, model: str, to: str | None, place: str | None) -> None:
        tools = [{"name": "ask"}]
        slots = {"to": to}
        body: dict[str, Any] = {} if place is None else {"cwd": place}
        self.world.says(client, "prompt", sid=sid, slots=slots, modelId=model, tools=tools, **body)

    @rule(
        nests=st.sampled_from([[], ["scout"]]),
        free_slots=st.sampled_from([None, 0, 1]),
        pressure=st.sampled_from([None, "hot", "refuse"]),
        alias=st.sampled_from([None, "box"]),
        tools=st.sampled_from([[], [{"name": "t"}, {"name": "far"}]]),
    )
    def link(self, **about: object) -> None:
        """The ensemble says what the other humd has now."""
        about["headroom"] = {"pressure": about.pop("pressure")}
        self.world.joins(PEER, "peer", **ROLES[PEER][1], **about)  # type: ignore[arg-type]

    @precondition(lambda self: self.turns())
    @rule(data=st.data(), dusk=st.sampled_from([None, 1, 10**15]))
    def ask(self, data: st.DataObject, dusk: int | None) -> None:
        sid, worker = data.draw(st.sampled_from(self.turns()))
        slots = {"dusk": dusk}
        self.world.says(worker, "permission-ask", sid=sid, slots=slots, askId="a", tool="Bash")

    @rule(
        client=st.sampled_from(CLIENTS),
        sid=st.sampled_from([*SIDS, None]),
        decision=st.sampled_from(["allow", "deny"]),
    )
    def release(self, client: str, sid: str | None, decision: str) -> None:
        self.world.says(client, "release-permit", sid=sid, askId="a", decision=decision)

    @rule(
        client=st.sampled_from(CLIENTS),
        sid=st.sampled_from(SIDS),
        chi=st.sampled_from([*sorted(OUTPUT), "cancel", "cleanup", "curate", "detach"]),
    )
    def say(self, client: str, sid: str, chi: str) -> None:
        self.world.says(client, chi, sid=sid)

    @precondition(lambda self: self.turns())
    @rule(data=st.data(), chi=st.sampled_from(WORK))
    def work(self, data: st.DataObject, chi: str) -> None:
        sid, worker = data.draw(st.sampled_from(self.turns()))
        if chi == "tool-call":
            tool = data.draw(st.sampled_from(["t", "ask", "far", "nope"]))
            call_id = data.draw(st.sampled_from(CALLS))
            self.world.says(worker, chi, sid=sid, callId=call_id, toolName=tool)
        elif chi == "permission-ask":
            self.world.says(worker, chi, sid=sid, askId=data.draw(st.sampled_from(CALLS)))
        else:
            self.world.says(worker, chi, sid=sid)

    @precondition(lambda self: self.world.state.calls.waiting)
    @rule(data=st.data(), chi=st.sampled_from(["tool-result", "error", "cancel"]))
    def answer(self, data: st.DataObject, chi: str) -> None:
        call = data.draw(st.sampled_from(list(self.world.state.calls.waiting.values())))
        client = call.caller if chi == "cancel" else call.callee
        self.world.says(client, chi, sid=call.sid, callId=call.call_id)

    @rule(
        client=st.sampled_from(CLIENTS),
        sid=st.sampled_from(SIDS),
        hear_only=st.booleans(),
        wane=st.sampled_from([None, 0, 3]),
        to=st.sampled_from([None, None, PEER[2:]]),
    )
    def attach(
        self, client: str, sid: str, hear_only: bool, wane: int | None, to: str | None
    ) -> None:
        slots = {"wane": wane, "to": to}
        self.world.says(client, "attach", sid=sid, slots=slots, hearOnly=hear_only)

    @rule(client=st.sampled_from(CLIENTS), link=st.integers(1, 5))
    def offer_again(self, client: str, link: int) -> None:
        self.world.says(client, "perf-mark", rid=f"rid-{link}", link=link)

    @rule(client=st.sampled_from(["D/a", "E/a", "D/w", "E/w"]))
    def leave(self, client: str) -> None:
        self.world.says(client, "bee-retract", scope="client")

    @rule(client=st.sampled_from(BUS))
    def lose(self, client: str) -> None:
        self.world.loses(client)

    @rule(client=st.sampled_from(BUS))
    def cut(self, client: str) -> None:
        self.world.emits(router.cut(client))

    @rule()
    def boot(self) -> None:
        self.world.boots()

    @rule(milliseconds=st.sampled_from([0, 1, 15_000, 60_000, 310_000, 700_000]))
    def wait(self, milliseconds: int) -> None:
        self.world.waits(milliseconds)

    @rule()
    def take_a_snapshot(self) -> None:
        self.frozen, self.taken_at = freeze(self.world.state), self.world.seq
        self.taken = self.world.snapshot()

    def turns(self) -> list[tuple[str, str]]:
        by_sid = self.world.state.sessions.by_sid
        return [(s.sid, s.worker) for s in by_sid.values() if s.is_open and s.worker]

    @invariant()
    def a_replay_gives_the_same_state(self) -> None:
        assert tables(self.world.replayed()) == tables(self.world.state)

    @invariant()
    def a_replay_without_bodies_gives_it_too(self) -> None:
        """Whatever the log forgot, humd decides as it did (`core.keeping` in thehum)."""
        kept = self.world.replayed(map(forgotten, self.world.lines))

        assert list(leaves(freeze(kept))) == list(leaves(freeze(self.world.state)))

    @invariant()
    def a_snapshot_and_the_events_behind_it_give_it_too(self) -> None:
        if not self.taken:
            return
        state = self.world.restored(self.taken)
        assert root_of(leaves(freeze(state))) == root_of(self.taken)

        self.world.replayed_from(state, self.world.lines[self.taken_at :])

        assert tables(state) == tables(self.world.state)
        assert root_of(leaves(freeze(state))) == root_of(self.world.snapshot())

    @invariant()
    def what_was_frozen_does_not_change(self) -> None:
        assert list(leaves(self.frozen)) == self.taken or not self.taken

    @invariant()
    def an_open_turn_has_a_worker_that_knows_of_it(self) -> None:
        for session in self.world.state.sessions.by_sid.values():
            if session.is_open:
                assert session.worker is not None
                assert self.world.state.knows(session.worker)

    @invariant()
    def busy_counts_are_true(self) -> None:
        turns = [worker for _, worker in self.turns()]
        for client in self.world.state.clients.by_id.values():
            assert client.turns_open == turns.count(client.id)

    @invariant()
    def nobody_waits_for_one_who_is_gone(self) -> None:
        state = self.world.state
        for call in state.calls.waiting.values():
            assert state.knows(call.callee)
            assert state.knows(call.caller)

    @invariant()
    def asks_wait_only_for_workers_that_are_here(self) -> None:
        for ask in self.world.state.asks.pending.values():
            session = self.world.state.sessions.get(ask.sid)
            assert session is not None
            assert self.world.state.knows(ask.worker)

    @invariant()
    def sessions_are_found_by_whoever_takes_part(self) -> None:
        sessions = self.world.state.sessions
        by_client: dict[str, set[str]] = {}
        for session in sessions.by_sid.values():
            for client in (session.owner, session.worker, *session.watchers):
                if client is not None:
                    by_client.setdefault(client, set()).add(session.sid)
        assert sessions._by_client == by_client
        assert all(self.world.state.knows(client) for client in by_client)

    @invariant()
    def calls_are_found_by_callee_and_by_caller(self) -> None:
        calls = self.world.state.calls
        by_caller = [call for mine in calls._by_caller.values() for call in mine.values()]
        assert sorted(map(repr, by_caller)) == sorted(map(repr, calls.waiting.values()))

    @invariant()
    def only_who_is_concerned_is_told(self) -> None:
        effects, self.checked = self.world.effects[self.checked :], len(self.world.effects)
        for cause, effect in effects:
            if isinstance(effect, Deliver):
                self.check(cause, effect)

    def check(self, cause: Arrival, delivery: Deliver) -> None:
        chi, header = delivery.header.chi, delivery.header
        if header.fan or chi in OUTPUT:
            assert delivery.client != cause.client, "its own words came back"
        if chi in OUTPUT and not header.fan and header.to is None and chi != Chi.DRONE:
            assert "callId" in frames.read_body(delivery.raw)
        assert (header.to is not None) == (delivery.client == PEER) or header.to == "humd"
        assert header.seq == cause.seq
        assert header.client is None
        if header.wane is not None:
            assert header.sid is not None


TestTraffic = Traffic.TestCase
TestTraffic.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)


def forgotten(stored: bytes) -> bytes:
    """The line that thehum would have written, had its body been large and then forgotten."""
    event = orjson.loads(stored)
    body = event["body"]
    if event["sid"] is None:
        return stored
    slots = {key: body[key] for key in ("from", "to", "dusk", "wane", "@via") if key in body}
    event["body"] = {**stub(body, Aside(event["seq"], event["sid"], b"s" * 32, b"gone")), **slots}
    return orjson.dumps(event, option=orjson.OPT_SORT_KEYS)


def line(**fields: object) -> bytes:
    whole = {"seq": 7, "ts_ms": 9, "chi": "chunk", "rid": "r", "sid": "s", "body": {}}
    return orjson.dumps({**whole, **fields})


def test_a_stored_line_is_the_arrival_that_it_records() -> None:
    via = {"batch": "e.1", "client": "D/a", "link": 3, "peer": None}
    body = {"delta": "x", "from": "me", "to": "you", "dusk": 1, "wane": 2, "@via": via}

    arrival = arrival_of(line(body=body))

    assert (arrival.seq, arrival.at_ms, arrival.client) == (7, 9, "D/a")
    assert arrival.header == frames.Header(Chi.CHUNK, "r", "s", "me", "you", 1, 2, 3)
    assert arrival.body == {"delta": "x"}


def test_a_key_that_did_not_fit_its_header_slot_stays_in_the_body() -> None:
    arrival = arrival_of(line(body={"from": 7, "dusk": True, "wane": "x", "@via": {}}))

    assert arrival.body == {"from": 7, "dusk": True, "wane": "x"}
    assert arrival.header.sender is None


def test_what_humd_said_itself_has_no_client() -> None:
    assert arrival_of(line(body={"@via": {"client": None}})).client is None


def test_a_body_that_json_cannot_express_keeps_its_bytes() -> None:
    raw = frames.pack_body({"blob": b"\xff"})
    kept = {"@msgpack": base64.b64encode(raw).decode(), "@via": {"client": "A"}}

    assert arrival_of(line(body=kept)).raw == raw


def test_a_body_beside_the_log_is_taken_from_there_and_else_says_that_it_is_gone() -> None:
    raw = frames.pack_body({"content": "x" * 100, "modelId": "m"})
    place = {"bytes": len(raw), "digest": "d" * 64}
    stored = line(body={"@body": place, "@via": {"client": "A"}, "from": "me", "modelId": "m"})

    whole, gone = arrival_of(stored, {"d" * 64: raw}), arrival_of(stored)

    assert (whole.raw, whole.header.sender) == (raw, "me")
    assert gone.body == {"@body": place, "modelId": "m"}


@pytest.mark.parametrize(
    "stored", [b"", b"[]", b"{}", b"null", line(body=[]), line(body=None), line()[:-1]]
)
def test_what_is_no_stored_event_is_malformed(stored: bytes) -> None:
    with pytest.raises(MalformedTone):
        arrival_of(stored)
