"""From a prompt to the end of its turn."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.world import World

from humd.core import authority, sessions
from humd.core.arrivals import Refusal, Why
from humd.core.catalogue import DEFAULT_CWD
from humd.core.clients import ADRIFT_MS
from humd.core.hellos import TOOLS_MAX
from humd.core.sessions import KEEP_MS, PROMPTS_WAITING_MAX, Session
from humd.core.state import State
from humd.core.turns import PROMPT_BYTES_MAX
from thrum import frames
from thrum.errors import Qualifier

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
VALUES = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | TEXT | st.lists(TEXT)


@pytest.fixture
def world() -> World:
    world = World(default_hive="W")
    world.joins("W", "worker", models=["m"])
    world.joins("A", "asker")
    return world


def open_turn(world: World, sid: str = "s", **body: Any) -> None:
    assert world.says("A", "prompt", sid=sid, **{"modelId": "m", **body}) is None


class TestTheWorker:
    def test_is_the_one_that_offers_exactly_the_model(self, world: World) -> None:
        world.joins("X", "worker", models=["m2"])

        world.says("A", "prompt", sid="s", modelId="m2")

        assert (world.chis("X"), world.chis("W")) == (["prompt"], [])

    def test_of_the_default_hive_serves_a_prompt_without_a_model(self, world: World) -> None:
        world.joins("A-first", "worker", models=["other"])

        world.says("A", "prompt", sid="s")

        assert world.chis("W") == ["prompt"]

    def test_of_any_hive_serves_it_when_the_default_hive_is_away(self, world: World) -> None:
        world.joins("X", "worker", models=["other"])
        world.loses("W")

        world.says("A", "prompt", sid="s")

        assert world.chis("X") == ["prompt"]

    def test_stays_with_its_sid(self, world: World) -> None:
        open_turn(world)
        world.says("W", "finish", sid="s")
        world.joins("X", "worker", models=["m"])
        open_turn(world, sid="elsewhere")
        world.says("X", "finish", sid="elsewhere")
        world.hears("W")

        open_turn(world)

        assert world.chis("W") == ["prompt"]

    def test_is_the_least_busy(self, world: World) -> None:
        world.joins("X", "worker", models=["m"])

        open_turn(world, sid="1")
        open_turn(world, sid="2")

        assert (len(world.hears("W")), len(world.hears("X"))) == (1, 1)

    def test_is_chosen_by_hid_when_all_are_as_busy(self) -> None:
        def chosen(order: list[str]) -> str | None:
            world = World()
            for name in order:
                world.joins(name, "worker", models=["m"])
            worker, _ = world.state.worker_for(Session("s"), "m")
            return worker.id if worker else None

        assert chosen(["P", "Q", "R"]) == chosen(["R", "Q", "P"])

    def test_that_is_adrift_gets_the_prompt_when_no_other_serves_the_model(
        self, world: World
    ) -> None:
        world.boots()
        world.joins("A", "asker")

        open_turn(world)

        assert world.chis("W")[-1] == "prompt"

    def test_that_is_adrift_gives_way_to_one_that_is_here(self, world: World) -> None:
        world.boots()
        world.joins("A", "asker")
        world.joins("X", "worker", models=["m"])

        open_turn(world)

        assert world.chis("X")[-1] == "prompt"
        assert "prompt" not in world.chis("W")

    def test_that_stays_away_ends_the_turn_that_waited_for_it(self, world: World) -> None:
        world.boots()
        world.joins("A", "asker")
        world.hears("A")
        open_turn(world)

        world.waits(ADRIFT_MS)

        (error,) = world.hears("A")
        assert error.body["qualifier"] == Qualifier.WORKER_LOST

    def test_that_does_not_exist_is_an_error_that_names_the_model_and_the_rid(
        self, world: World
    ) -> None:
        world.says("A", "prompt", sid="s", rid="mine", modelId="nope")

        (error,) = world.hears("A")
        assert error.body["message"] == "no worker bee advertises model 'nope'"
        assert error.body["cause"] == "mine"


class TestWhatTheWorkerGets:
    def test_has_the_tools_of_all_foragers_and_what_they_provide(self, world: World) -> None:
        world.joins("F", "forager", tools=[{"name": "t", "description": "d"}], provides=["fs"])
        world.joins("G", "forager", provides=["web"])

        open_turn(world)

        (prompt,) = world.hears("W")
        empty = {"type": "object", "properties": {}}
        assert prompt.body["foragerTools"] == [
            {"name": "t", "description": "d", "inputSchema": empty}
        ]
        assert prompt.body["provided"] == ["fs", "web"]
        assert "Bash" in prompt.body["disallowedTools"]

    def test_has_no_empty_lists(self, world: World) -> None:
        open_turn(world)

        (prompt,) = world.hears("W")
        assert not {"foragerTools", "provided", "disallowedTools"} & prompt.body.keys()

    def test_joins_our_disallowed_tools_with_the_askers(self, world: World) -> None:
        world.joins("F", "forager", tools=[{"name": "t"}], provides=["fs"])

        open_turn(world, disallowedTools=["WebFetch", "Bash"])

        (prompt,) = world.hears("W")
        names = prompt.body["disallowedTools"]
        assert names == sorted(set(names))
        assert {"WebFetch", "Bash", "Read"} <= set(names)

    @pytest.mark.parametrize("odd", [None, "WebFetch", {"a": 1}, 7, [["Bash"], None]])
    def test_may_not_use_what_a_forager_replaces_whatever_the_asker_says(
        self, world: World, odd: object
    ) -> None:
        world.joins("F", "forager", tools=[{"name": "t"}], provides=["fs"])

        open_turn(world, disallowedTools=odd)

        (prompt,) = world.hears("W")
        told = prompt.body["disallowedTools"]
        assert {"Bash", "Read", "Write"} <= set(told)
        assert ("WebFetch" in told) is (odd == "WebFetch")

    def test_is_nothing_when_no_frame_could_hold_it_and_the_next_prompt_is_served(
        self, world: World
    ) -> None:
        pad = "x" * (PROMPT_BYTES_MAX // 2)
        world.joins("F", "forager", tools=[{"name": "t", "description": pad}])

        open_turn(world, content=pad, rid="long")
        world.loses("F")
        open_turn(world, content=pad)

        error, *_ = world.hears("A")
        assert error.body["qualifier"] == Qualifier.FRAME_TOO_LARGE
        assert error.body["cause"] == "long"
        assert world.chis("W") == ["prompt"]

    @pytest.mark.parametrize(
        "long", [{"modelId": "m" * 1_025}, {"tools": [{"name": "t"}] * (TOOLS_MAX + 1)}]
    )
    def test_is_nothing_when_a_name_or_a_list_has_no_bound(
        self, world: World, long: dict[str, Any]
    ) -> None:
        verdict = world.says("A", "prompt", sid="s", **{"modelId": "m", **long})

        assert isinstance(verdict, Refusal)
        assert verdict.qualifier is Qualifier.TONE_MALFORMED

    def test_has_the_askers_cwd_or_the_root(self, world: World) -> None:
        open_turn(world, sid="1")
        open_turn(world, sid="2", cwd="/srv")

        assert [heard.body["cwd"] for heard in world.hears("W")] == [DEFAULT_CWD, "/srv"]

    @pytest.mark.parametrize(
        ("given", "content"),
        [
            ({"text": "hi"}, "hi"),
            ({"text": "hi", "content": "mine"}, "mine"),
            ({"text": ""}, None),
            ({"text": 7}, None),
        ],
    )
    def test_has_the_text_as_content_when_there_is_none(
        self, world: World, given: dict[str, Any], content: str | None
    ) -> None:
        open_turn(world, **given)

        (prompt,) = world.hears("W")
        assert prompt.body.get("content") == content

    @given(st.dictionaries(TEXT, VALUES))
    def test_begins_with_the_bytes_the_asker_sent(self, body: dict[str, object]) -> None:
        body.pop("disallowedTools", None)
        body["modelId"] = "m"
        world = World()
        world.joins("W", "worker", models=["m"])
        world.joins("F", "forager", tools=[{"name": "t"}], provides=["fs"])
        raw = frames.pack_body(body)

        world.says("A", "prompt", sid="s", raw=raw)

        (delivery,) = [effect for _, effect in world.effects if type(effect).__name__ == "Deliver"]
        entries = raw[1:] if len(body) < 16 else raw[3:]
        assert entries in delivery.raw  # type: ignore[union-attr]
        (prompt,) = world.hears("W")
        assert body.items() <= prompt.body.items()


class TestCapacity:
    def test_of_a_full_worker_leaves_the_turn_to_another(self, world: World) -> None:
        world.loses("W")
        world.joins("X", "worker", models=["m"], capacity=1)
        world.joins("Y", "worker", models=["m"])
        for sid in "123":
            open_turn(world, sid=sid)

        assert (len(world.hears("X")), len(world.hears("Y"))) == (1, 2)

    def test_that_is_used_up_everywhere_is_an_error(self, world: World) -> None:
        world.loses("W")
        world.joins("X", "worker", models=["m"], capacity=1)
        open_turn(world, sid="1")

        open_turn(world, sid="2")

        (error,) = world.hears("A")
        assert error.body["qualifier"] == Qualifier.OVERFLOW_NO_ROUTE

    @pytest.mark.parametrize("capacity", [0, -1, True, "4", None])
    def test_that_is_none_means_as_many_as_come(self, world: World, capacity: object) -> None:
        world.loses("W")
        world.joins("X", "worker", models=["m"], capacity=capacity)
        for sid in "123":
            open_turn(world, sid=sid)

        assert len(world.hears("X")) == 3


class TestWhy:
    """Every decision of the router says why (features A13)."""

    def whys(self, world: World) -> list[str]:
        return [effect.text for _, effect in world.effects if isinstance(effect, Why)]

    def test_a_worker_was_chosen(self, world: World) -> None:
        open_turn(world)
        world.joins("X", "worker", models=["m"])
        world.says("W", "finish", sid="s")
        open_turn(world)
        open_turn(world, sid="other")
        open_turn(world, sid="none", modelId="nope")

        first, again, other, none = self.whys(world)
        assert "no other has the model" in first
        assert "it served this sid before" in again
        assert "least busy of 2" in other
        assert "no worker has it" in none

    def test_a_waiting_prompt_was_started(self, world: World) -> None:
        open_turn(world)
        world.says("A", "prompt", sid="s", rid="later", modelId="m")
        world.says("W", "finish", sid="s")

        assert "'later' waited" in self.whys(world)[-1]

    def test_a_tool_went_where_it_went(self, world: World) -> None:
        world.joins("F", "forager", tools=[{"name": "t"}])
        open_turn(world, tools=[{"name": "mine", "inputSchema": {}}])
        for tool in ("t", "mine", "nope"):
            world.says("W", "tool-call", sid="s", callId=tool, toolName=tool)

        _, forager, asker, nobody = self.whys(world)
        assert forager.startswith("'t' to F wbee_")
        assert asker == "'mine' to the asker: it came with the prompt"
        assert nobody == "'nope' to nobody"


class TestPromptsOfOneSid:
    def test_wait_for_the_turn_that_runs(self, world: World) -> None:
        open_turn(world)
        open_turn(world, n=2)

        assert [heard.body.get("n") for heard in world.hears("W")] == [None]

    @pytest.mark.parametrize("terminal", ["finish", "error"])
    def test_start_in_order_as_turns_end(self, world: World, terminal: str) -> None:
        for number in range(3):
            open_turn(world, n=number)
        for _ in range(3):
            world.says("W", terminal, sid="s")

        assert [heard.body["n"] for heard in world.hears("W")] == [0, 1, 2]

    def test_that_waited_are_numbered_as_the_event_that_started_them(self, world: World) -> None:
        """Their own may be behind the cursor of the worker: a resend would leave them out."""
        open_turn(world)
        open_turn(world)
        open_turn(world, sid="other")
        world.says("W", "finish", sid="s")

        seqs = [heard.header.seq for heard in world.hears("W")]
        assert seqs == sorted(seqs)

    def test_are_refused_past_the_bound(self, world: World) -> None:
        open_turn(world)
        for _ in range(PROMPTS_WAITING_MAX):
            open_turn(world)

        verdict = world.says("A", "prompt", sid="s", modelId="m")

        assert isinstance(verdict, Refusal)
        assert verdict.qualifier is Qualifier.PROMPT_QUEUE_FULL

    def test_have_a_bound_in_bytes_over_all_sids(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(authority, "WAITING_BYTES_MAX", 5_000)
        for sid in "stu":
            open_turn(world, sid=sid)
            open_turn(world, sid=sid, content="x" * 1_500)
        restored = world.restored(world.snapshot())

        verdict = world.says("A", "prompt", sid="s", modelId="m", content="x" * 1_500)
        world.says("A", "cancel", sid="s")
        world.says("A", "cleanup", sid="t")
        world.says("W", "finish", sid="u")

        assert isinstance(verdict, Refusal)
        assert verdict.qualifier is Qualifier.PROMPT_QUEUE_FULL
        assert restored.sessions.waiting_bytes > 4_500
        assert world.state.sessions.waiting_bytes == 0

    def test_without_a_worker_do_not_hold_up_the_next(self, world: World) -> None:
        open_turn(world)
        open_turn(world, modelId="nope")
        open_turn(world, n=3)
        world.hears("W")

        world.says("W", "finish", sid="s")

        assert [heard.body.get("n") for heard in world.hears("W")] == [3]
        assert world.chis("A") == ["finish", "error"]

    def test_go_to_another_worker_when_theirs_is_lost(self, world: World) -> None:
        open_turn(world)
        open_turn(world, n=2)
        world.joins("X", "worker", models=["m"])

        world.loses("W")

        assert [heard.body["n"] for heard in world.hears("X")] == [2]
        assert [heard.body.get("code") for heard in world.hears("A")] == ["worker_lost"]

    def test_without_a_sid_are_refused(self, world: World) -> None:
        verdict = world.says("A", "prompt", modelId="m")

        assert isinstance(verdict, Refusal)
        assert verdict.qualifier is Qualifier.PROMPT_NO_SID


class TestWhatAWorkerSays:
    @pytest.mark.parametrize("chi", ["chunk", "finish", "error", "pulse", "tool-info", "breath"])
    def test_reaches_the_owner_and_everyone_attached(self, world: World, chi: str) -> None:
        world.joins("B", "asker")
        open_turn(world)
        world.says("B", "attach", sid="s", hearOnly=True)

        world.says("W", chi, sid="s")

        assert (world.chis("A"), world.chis("B")) == ([chi], [chi])

    def test_never_comes_back_to_it(self, world: World) -> None:
        open_turn(world)
        world.says("W", "attach", sid="s")
        world.hears("W")

        world.says("W", "chunk", sid="s")

        assert world.chis("W") == []

    def test_reaches_nobody_else(self, world: World) -> None:
        world.joins("B", "asker")
        open_turn(world)

        world.says("W", "chunk", sid="s")

        assert world.chis("B") == []

    def test_reaches_a_listener_once_though_it_owns_the_sid_and_attached(
        self, world: World
    ) -> None:
        open_turn(world)
        world.says("A", "attach", sid="s")

        world.says("W", "chunk", sid="s")

        assert world.chis("A") == ["chunk"]

    def test_is_heard_after_the_turn_too(self, world: World) -> None:
        open_turn(world)
        world.says("W", "finish", sid="s")
        world.says("W", "perf-mark", sid="s")

        assert world.chis("A") == ["finish", "perf-mark"]

    def test_is_not_heard_by_who_detached(self, world: World) -> None:
        world.joins("B", "asker")
        open_turn(world)
        world.says("B", "attach", sid="s")
        world.says("B", "detach", sid="s")

        world.says("W", "chunk", sid="s")

        assert world.chis("B") == []

    def test_is_still_heard_by_the_owner_who_detaches(self, world: World) -> None:
        open_turn(world)
        world.says("A", "detach", sid="s")

        world.says("W", "chunk", sid="s")

        assert world.chis("A") == ["chunk"]

    def test_is_numbered_within_its_sid_without_a_gap(self, world: World) -> None:
        open_turn(world)
        for _ in range(4):
            world.says("W", "chunk", sid="s")

        first, *others = [heard.header.wane for heard in world.hears("A")]
        assert first is not None
        assert others == [first + 1, first + 2, first + 3]

    def test_is_marked_as_fanned_out_with_its_log_number(self, world: World) -> None:
        open_turn(world)

        world.says("W", "chunk", sid="s")

        (chunk,) = world.hears("A")
        assert (chunk.header.fan, chunk.header.seq) == (1, world.seq)

    @given(st.dictionaries(TEXT, VALUES))
    def test_keeps_every_byte(self, body: dict[str, object]) -> None:
        world = World()
        world.joins("W", "worker", models=["m"])
        world.says("A", "prompt", sid="s", modelId="m")
        raw = frames.pack_body(body)

        world.says("W", "chunk", sid="s", raw=raw)

        delivery = world.effects[-1][1]
        assert delivery.raw == raw  # type: ignore[union-attr]


class TestTheEndOfATurn:
    @pytest.mark.parametrize("terminal", ["finish", "error"])
    def test_frees_the_worker(self, world: World, terminal: str) -> None:
        open_turn(world)

        world.says("W", terminal, sid="s")

        worker = world.state.clients.get("W")
        assert worker is not None
        assert worker.turns_open == 0

    def test_comes_once_though_the_worker_says_so_twice(self, world: World) -> None:
        open_turn(world, sid="1")
        open_turn(world, sid="2")
        world.says("W", "finish", sid="1")
        world.says("W", "finish", sid="1")

        worker = world.state.clients.get("W")
        assert worker is not None
        assert worker.turns_open == 1

    def test_makes_the_forager_of_an_unanswered_call_stop(self, world: World) -> None:
        world.joins("F", "forager", tools=[{"name": "t"}])
        open_turn(world)
        world.says("W", "tool-call", sid="s", callId="c", toolName="t")
        world.hears("F")

        world.says("W", "finish", sid="s")

        (cancel,) = world.hears("F")
        assert (cancel.chi, cancel.body["callId"]) == ("cancel", "c")

    def test_voids_the_calls_of_the_turn(self, world: World) -> None:
        world.joins("F", "forager", tools=[{"name": "t"}])
        open_turn(world)
        world.says("W", "tool-call", sid="s", callId="c", toolName="t")

        world.says("W", "finish", sid="s")

        assert not world.state.calls.waiting

    def test_leaves_calls_of_other_turns_alone(self, world: World) -> None:
        world.joins("F", "forager", tools=[{"name": "t"}])
        open_turn(world, sid="1")
        open_turn(world, sid="2")
        world.says("W", "tool-call", sid="2", callId="c", toolName="t")

        world.says("W", "finish", sid="1")

        assert len(world.state.calls.waiting) == 1


class TestCancelAndCleanup:
    def test_what_was_cancelled_while_it_waited_is_answered_when_the_turn_ends(
        self, world: World
    ) -> None:
        open_turn(world)
        world.says("A", "prompt", sid="s", rid="second", modelId="m")
        world.says("A", "cancel", sid="s")
        during = world.chis("A")

        world.says("W", "finish", sid="s", finishReason="cancelled")

        first, second = world.hears("A")
        assert during == []
        assert (first.chi, first.body["finishReason"]) == ("finish", "cancelled")
        assert (second.header.rid, second.body["finishReason"]) == ("second", "cancelled")

    def test_what_was_cancelled_still_counts_for_the_bound(self, world: World) -> None:
        open_turn(world)
        for _ in range(PROMPTS_WAITING_MAX):
            open_turn(world)
        world.says("A", "cancel", sid="s")

        verdict = world.says("A", "prompt", sid="s", modelId="m")

        assert isinstance(verdict, Refusal)

    def test_what_was_cancelled_is_answered_once_and_counts_no_more(self, world: World) -> None:
        open_turn(world)
        open_turn(world)
        world.says("A", "cancel", sid="s")
        world.says("W", "finish", sid="s")
        world.hears("A")

        open_turn(world)
        world.says("W", "finish", sid="s")

        assert world.chis("A") == ["finish"]

    def test_a_cleanup_ends_the_turn_and_answers_everything_that_waits(self, world: World) -> None:
        open_turn(world)
        open_turn(world)

        world.says("A", "cleanup", sid="s")

        heard = world.hears("A")
        assert [one.body["finishReason"] for one in heard] == ["cancelled", "cancelled"]
        assert world.state.sessions.get("s") is None

    @pytest.mark.parametrize(
        ("chi", "sid"), [("petal-cell", "unknown"), ("curate", None), ("cleanup", "")]
    )
    def test_about_nothing_reach_no_worker(self, world: World, chi: str, sid: str | None) -> None:
        world.says("A", chi, sid=sid)

        assert world.chis("W") == []

    @pytest.mark.parametrize("chi", ["cleanup", "curate"])
    def test_of_a_sid_that_nobody_knows_reach_every_worker(self, world: World, chi: str) -> None:
        world.joins("X", "worker", models=["m"])

        world.says("A", chi, sid="unknown")

        assert (world.chis("W"), world.chis("X")) == ([chi], [chi])

    def test_a_cancel_reaches_the_worker_and_drops_what_waits(self, world: World) -> None:
        open_turn(world)
        open_turn(world)
        world.hears("W")

        world.says("A", "cancel", sid="s")
        world.says("W", "finish", sid="s")

        assert world.chis("W") == ["cancel"]

    def test_a_cancel_reaches_whoever_runs_the_calls_of_the_turn(self, world: World) -> None:
        """The worker need not do anything; its call is answered by who runs it."""
        world.joins("F", "forager", tools=[{"name": "t"}])
        open_turn(world)
        open_turn(world, sid="other")
        world.says("W", "tool-call", sid="s", callId="c", toolName="t")
        world.says("W", "tool-call", sid="other", callId="d", toolName="t")
        world.hears("F")

        world.says("A", "cancel", sid="s")

        (cancel,) = world.hears("F")
        assert (cancel.chi, cancel.body["callId"], cancel.header.sid) == ("cancel", "c", "s")
        assert world.says("F", "tool-result", sid="s", callId="c") is None

    def test_a_cancel_without_a_turn_reaches_who_runs_a_call_of_its_sender(
        self, world: World
    ) -> None:
        world.joins("F", "forager", tools=[{"name": "t"}])
        world.says("A", "tool-call", sid="own", callId="c", toolName="t")
        world.hears("F")

        world.says("A", "cancel", sid="own")

        (cancel,) = world.hears("F")
        assert (cancel.chi, cancel.body["callId"]) == ("cancel", "c")

    def test_a_cancel_without_a_turn_reaches_nobody(self, world: World) -> None:
        open_turn(world)
        world.says("W", "finish", sid="s")
        world.hears("W")

        world.says("A", "cancel", sid="s")

        assert world.chis("W") == []

    def test_a_cleanup_reaches_the_worker_and_forgets_the_sid(self, world: World) -> None:
        open_turn(world)
        world.hears("W")

        world.says("A", "cleanup", sid="s")

        worker = world.state.clients.get("W")
        assert world.chis("W") == ["cleanup"]
        assert world.state.sessions.get("s") is None
        assert worker is not None
        assert worker.turns_open == 0

    @pytest.mark.parametrize("chi", ["curate", "petal-cell"])
    def test_what_steers_reaches_the_worker_of_the_sid(self, world: World, chi: str) -> None:
        open_turn(world)
        world.hears("W")

        world.says("A", chi, sid="s")

        assert world.chis("W") == [chi]


class TestSessions:
    def test_are_forgotten_a_while_after_their_last_turn(self, world: World) -> None:
        open_turn(world)
        world.says("W", "finish", sid="s")
        world.now_ms += KEEP_MS

        open_turn(world, sid="new")

        assert world.state.sessions.get("s") is None

    def test_with_a_turn_are_never_forgotten(self, world: World) -> None:
        open_turn(world)
        world.now_ms += KEEP_MS * 10

        open_turn(world, sid="new")

        assert world.state.sessions.get("s") is not None

    def test_have_a_bound_at_which_the_oldest_closed_one_goes(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sessions, "SESSIONS_MAX", 2)
        open_turn(world, sid="closed")
        world.says("W", "finish", sid="closed")
        open_turn(world, sid="open")

        open_turn(world, sid="new")

        assert list(world.state.sessions.by_sid) == ["open", "new"]

    def test_that_are_all_open_at_the_bound_refuse_a_new_one(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sessions, "SESSIONS_MAX", 1)
        open_turn(world)

        verdict = world.says("A", "prompt", sid="new", modelId="m")

        assert isinstance(verdict, Refusal)
        assert verdict.qualifier is Qualifier.PROMPT_QUEUE_FULL


def test_a_state_without_workers_has_no_default_model() -> None:
    assert State().default_model() is None
