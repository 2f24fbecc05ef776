"""Every table has a bound, and goes back to zero when its reason does (features A4, A9)."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.world import World

from humd.core import calls, clients, sessions
from humd.core.arrivals import Refusal
from humd.core.sessions import IDLE_LATE_MS, KEEP_MS
from thrum.errors import Qualifier

Step = Callable[[], object]
PROMPTS, SIDS, RECONNECTS = 10_000, 50, 1_000


@pytest.fixture
def world() -> World:
    world = World()
    world.joins("W", "worker", models=["m"])
    world.joins("D", "door")
    world.joins("A", "asker")
    world.keeps_log = False
    return world


def sizes(world: World) -> dict[str, int]:
    """How much is in each table that a conversation uses."""
    state = world.state
    return {
        "sessions": len(state.sessions.by_sid),
        "by client": len(state.sessions._by_client),
        "active": len(state.sessions._active),
        "closed": len(state.sessions._closed),
        "orphans": len(state.sessions._orphans),
        "calls": len(state.calls.waiting),
        "by caller": len(state.calls._by_caller),
        "by callee": len(state.calls._by_callee),
        "asks": len(state.asks.pending),
        "turns": len(state.watch.turns),
    }


def test_ten_thousand_prompts_over_fifty_sids_leave_nothing(world: World) -> None:
    tools = [{"name": "mine", "inputSchema": {}}]
    for number in range(PROMPTS):
        sid = f"s{number % SIDS}"
        world.says("A", "prompt", sid=sid, modelId="m", tools=tools)
        if number % 10 == 0:
            world.says("W", "tool-call", sid=sid, callId=f"c{number}", toolName="mine")
            world.says("W", "permission-ask", sid=sid, askId=f"a{number}", tool="Bash")
        world.says("W", "chunk", sid=sid, delta="x")
        world.says("W", "finish", sid=sid)
        world.hears("A")
        world.hears("W")
    busy = sizes(world)

    world.waits(KEEP_MS + IDLE_LATE_MS)

    assert busy["sessions"] == SIDS
    assert set(sizes(world).values()) == {0}
    worker = world.state.clients.get("W")
    assert worker is not None
    assert worker.turns_open == 0


def test_a_thousand_reconnects_of_a_forager_leave_one(world: World) -> None:
    tools = [{"name": "t"}, {"name": "u"}]
    before = len(world.state.clients.by_id)
    for number in range(RECONNECTS):
        world.now_ms += 1
        world.joins(f"D/{number}", "forager", hid="same", hive="files", tools=tools)
        if number % 2:
            world.says(f"D/{number}", "bee-retract", scope="client")
        else:
            world.says(f"D/{number - 2}", "bee-retract", scope="client")

    world.joins("D/last", "forager", hid="same", hive="files", tools=tools)

    bees = [bee for bee in world.state.clients.bees() if bee.name == "files"]
    assert [bee.id for bee in bees] == ["D/last"]
    assert sorted(world.state.catalogue.names) == ["t", "u"]
    assert len(world.state.clients.by_id) <= before + 3


def qualifier(verdict: object) -> Qualifier | None:
    return verdict.qualifier if isinstance(verdict, Refusal) else None


class TestABound:
    def test_of_clients(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(clients, "CLIENTS_MAX", len(world.state.clients.by_id))

        verdict = world.says("D/new", "attach", sid="s")

        assert qualifier(verdict) is Qualifier.QUEUE_OVERFLOW
        assert world.says("A", "attach", sid="s") is None

    @pytest.mark.parametrize("chi", ["prompt", "attach", "tool-call"])
    def test_of_sessions(self, world: World, monkeypatch: pytest.MonkeyPatch, chi: str) -> None:
        monkeypatch.setattr(sessions, "SESSIONS_MAX", 1)
        world.says("A", "prompt", sid="open", modelId="m")

        verdict = world.says("A", chi, sid="another", callId="c", toolName="t", modelId="m")

        assert qualifier(verdict) in (Qualifier.QUEUE_OVERFLOW, Qualifier.PROMPT_QUEUE_FULL)
        assert list(world.state.sessions.by_sid) == ["open"]

    def test_of_sessions_pushes_out_the_one_that_ended_first(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sessions, "SESSIONS_MAX", 2)
        for sid in ("1", "2", "3"):
            world.says("A", "prompt", sid=sid, modelId="m")
            world.says("W", "finish", sid=sid)

        assert list(world.state.sessions.by_sid) == ["2", "3"]

    def test_of_watchers(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("humd.core.authority.WATCHERS_MAX", 1)
        world.says("A", "attach", sid="s")

        assert qualifier(world.says("D/x", "attach", sid="s")) is Qualifier.QUEUE_OVERFLOW
        assert world.says("A", "attach", sid="s", hearOnly=True) is None

    def test_of_calls(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(calls, "CALLS_MAX", 0)

        verdict = world.says("A", "tool-call", sid="s", callId="c", toolName="t")

        assert qualifier(verdict) is Qualifier.QUEUE_OVERFLOW

    def test_of_what_is_known_of_forgotten_sids(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sessions, "NUMBERS_MAX", 3)
        for number in range(5):
            world.says("A", "prompt", sid=str(number), modelId="m")
            world.says("A", "cleanup", sid=str(number))

        assert list(world.state.sessions._numbers) == ["2", "3", "4"]


@pytest.mark.parametrize("order", list(itertools.permutations(["retract", "lose", "detach"])))
def test_whoever_leaves_in_whatever_order_leaves_no_trace(world: World, order: Any) -> None:
    world.says("D/x", "attach", sid="s")
    world.says("A", "prompt", sid="s", modelId="m")
    leave: dict[str, Step] = {
        "retract": lambda: world.says("D/x", "bee-retract", scope="client"),
        "lose": lambda: world.loses("A"),
        "detach": lambda: world.says("D/x", "detach", sid="s"),
    }
    for name in order:
        leave[name]()
    world.says("W", "finish", sid="s")
    world.loses("W")

    world.waits(KEEP_MS + IDLE_LATE_MS)

    assert set(sizes(world).values()) == {0}
