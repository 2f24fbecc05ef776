"""Who may do what, as one table; and what is dropped because the log has it."""

from typing import Any

import pytest
from tests.support.world import World, hid_named

from humd.core import router
from humd.core.arrivals import Duplicate, Refusal
from humd.core.calls import ID_CHARS_MAX
from thrum.chi import ANSWER, DRIVER, LOGGED, OUTPUT, Chi
from thrum.errors import Qualifier
from thrum.frames import Header

DENIED, HEAR_ONLY = Qualifier.AUTH_DENIED, Qualifier.HEAR_ONLY_DENIED
SCOPE = Qualifier.FEDERATION_SCOPE_DENIED
GRANTED, BARE = (f"E/{hid_named(name, prefix='humd')}" for name in ("granted", "bare"))
"""Two other humds behind the ensemble: one may prompt, attach and call tools, one nothing."""
GRANTS = ("prompt", "attach", "tool-call", "cancel")
WHO = (
    "owner", "watcher", "listener", "stranger", "worker", "callee", "operator", GRANTED, BARE,
)  # fmt: skip
PEERS = (GRANTED, BARE)
TELEMETRY = {Chi.BREATH, Chi.PERF_MARK, Chi.DRONE, Chi.DRONE_RETROFIT}
ANYONE = {Chi.HELLO, Chi.DETACH, Chi.BEE_RETRACT, Chi.WANE_SYNC}
LOCALS = {Chi.PEER_ADD, Chi.PEER_REMOVE, Chi.GOSSIP_PUBLISH, Chi.KAD_FIND_NODE,
          Chi.KAD_FIND_NODE_RESP, Chi.ATTACH}  # fmt: skip
NOBODY = {Chi.SNAPSHOT, Chi.FORGOTTEN, Chi.WITNESSED, Chi.KEY_COMMIT, Chi.KEY_ROTATE,
          Chi.LOG_REPAIRED, Chi.LOG_RESTORED}  # fmt: skip


def expected(chi: str, who: str) -> Qualifier | None:
    """What is said against a chi of somebody on a sid that `owner` drives and `worker` serves."""
    drives = {"owner": None, "watcher": None, "listener": HEAR_ONLY}
    if chi in NOBODY:
        return DENIED
    if chi in ANYONE or chi in TELEMETRY:
        return None
    if who in PEERS and chi not in OUTPUT | ANSWER and not (who == GRANTED and chi in GRANTS):
        return SCOPE
    if chi in LOCALS:
        return None
    if chi == Chi.RELEASE_PERMIT and who == "operator":
        return None
    if chi in DRIVER:
        return drives.get(who, DENIED)
    if chi == Chi.FORGET:
        return None if who in ("owner", "watcher") else DENIED
    if chi in OUTPUT:
        return None if who == "worker" else DENIED
    if chi == Chi.TOOL_CALL:
        return {**drives, "worker": None}.get(who, DENIED)
    assert chi in ANSWER
    return {"callee": None, "listener": HEAR_ONLY}.get(who, DENIED)


@pytest.fixture
def world() -> World:
    """Everyone of `WHO` around one sid with an open turn, a call and an ask that wait."""
    world = World()
    world.joins("worker", "worker", models=["m"])
    world.joins("callee", "forager", tools=[{"name": "t"}])
    world.joins("D", "door")
    world.joins("E", "ensemble")
    world.joins("operator", "operator")
    for who in ("owner", "watcher", "listener", "stranger"):
        world.joins(who, "asker")
    world.joins(GRANTED, grants=GRANTS)
    world.joins(BARE)
    world.says("owner", "prompt", sid="s", modelId="m")
    world.says("watcher", "attach", sid="s")
    world.says("listener", "attach", sid="s", hearOnly=True)
    world.says("worker", "tool-call", sid="s", callId="waits", toolName="t")
    world.says("worker", "permission-ask", sid="s", askId="may-i", tool="Bash")
    return world


@pytest.mark.parametrize("chi", sorted(LOGGED))
@pytest.mark.parametrize("who", WHO)
def test_only_who_may_is_heard(world: World, chi: str, who: str) -> None:
    """The authority matrix: every chi that is logged, and everyone who might say it."""
    bodies: dict[str, dict[str, Any]] = {
        "tool-result": {"callId": "waits"},
        "tendril-result": {"callId": "waits"},
        "tool-call": {"callId": "new", "toolName": "t"},
        "hello": {"hid": world.state.clients.touch(who).hid},
        "release-permit": {"askId": "may-i", "decision": "allow"},
        "permission-ask": {"askId": "another", "tool": "Bash"},
        "tendril-reach": {"callId": "reach", "tool": "agent"},
    }
    before, effects = world.seq, len(world.effects)

    verdict = world.says(who, chi, sid="s", **bodies.get(chi, {"modelId": "m"}))

    found = verdict.qualifier if isinstance(verdict, Refusal) else verdict
    assert found is expected(chi, who)
    if found is not None:
        assert (world.seq, len(world.effects)) == (before, effects)


def test_once_the_turn_is_over_a_person_at_the_door_may_have_it_forgotten(world: World) -> None:
    world.joins("D/person", "asker")
    during = world.says("D/person", "forget", sid="s")
    world.says("worker", "finish", sid="s")

    assert isinstance(during, Refusal)
    assert world.says("D/person", "forget", sid="s") is None
    assert world.says("D/person", "forget", sid="never seen") is None
    assert isinstance(world.says("stranger", "forget", sid="s"), Refusal)
    assert isinstance(world.says("stranger", "forget", sid="never seen"), Refusal)


def test_an_order_to_forget_nothing_is_malformed(world: World) -> None:
    verdict = world.says("owner", "forget")

    assert isinstance(verdict, Refusal)
    assert verdict.qualifier is Qualifier.TONE_MALFORMED


def test_what_is_never_logged_reaches_those_on_the_sid_from_its_worker_alone(world: World) -> None:
    mark = Header("perf-mark", "r", "s", wane=7, seq=9, client="x")
    raw = b"\x80"

    heard = router.overheard(world.state, mark, raw, "worker")

    assert {delivery.client for delivery in heard} == {"owner", "watcher", "listener"}
    assert {delivery.header for delivery in heard} == {Header("perf-mark", "r", "s", fan=1)}
    assert router.overheard(world.state, mark, raw, "stranger") == []
    assert router.overheard(world.state, mark._replace(sid="other"), raw, "worker") == []


@pytest.mark.parametrize("chi", sorted(TELEMETRY))
def test_telemetry_of_a_stranger_reaches_nobody(world: World, chi: str) -> None:
    before = len(world.effects)

    world.says("stranger", chi, sid="s")

    assert world.effects[before:] == []


def test_what_is_refused_leaves_no_record(world: World) -> None:
    before = world.seq

    world.says("stranger", "cancel", sid="s")

    assert world.seq == before


def test_an_error_with_the_call_id_is_heard_from_who_was_asked(world: World) -> None:
    assert world.says("callee", "error", sid="s", callId="waits") is None


def test_who_only_listens_may_not_drive_a_sid_that_nobody_owns(world: World) -> None:
    world.says("listener", "attach", sid="free", hearOnly=True)

    verdict = world.says("listener", "prompt", sid="free", modelId="m")

    assert isinstance(verdict, Refusal)
    assert verdict.qualifier is HEAR_ONLY


def test_who_only_listens_may_drive_after_attaching_anew(world: World) -> None:
    world.says("listener", "attach", sid="s")

    assert world.says("listener", "cancel", sid="s") is None


def test_the_owner_may_drive_though_it_attached_to_listen(world: World) -> None:
    world.says("owner", "attach", sid="s", hearOnly=True)

    assert world.says("owner", "cancel", sid="s") is None


def test_a_free_sid_is_taken_by_who_prompts_first(world: World) -> None:
    world.says("watcher", "attach", sid="free")
    world.says("stranger", "prompt", sid="free", modelId="m")

    session = world.state.sessions.get("free")
    assert session is not None
    assert session.owner == "stranger"


@pytest.mark.parametrize("chi", ["prompt", "cancel", "tool-call", "attach", "hello", "error"])
@pytest.mark.parametrize(
    "raw",
    [b"\x81\x01\x02", b"\x81\xa1\xff\x01", b"\x81\xa1a\xc1", b"\x82\xa1a\x01"],
    ids=["a key that is a number", "a key that is not UTF-8", "a reserved byte", "cut short"],
)
def test_a_body_that_cannot_be_read_is_refused_and_the_bee_is_not(
    world: World, chi: str, raw: bytes
) -> None:
    who = "callee" if chi == "error" else "owner"

    verdict = world.says(who, chi, sid="s", raw=raw)

    assert isinstance(verdict, Refusal)
    assert verdict.qualifier is Qualifier.TONE_MALFORMED


class TestADuplicate:
    def test_is_a_link_number_that_the_log_has(self, world: World) -> None:
        world.says("worker", "chunk", sid="s", link=50)
        world.hears("owner")

        verdict = world.says("worker", "chunk", sid="s", link=50)

        assert isinstance(verdict, Duplicate)
        assert world.chis("owner") == []

    def test_is_found_after_a_restart_of_humd(self, world: World) -> None:
        world.says("worker", "chunk", sid="s", link=50)
        world.boots()
        world.joins("worker", "worker", models=["m"])

        assert isinstance(world.says("worker", "chunk", sid="s", link=50), Duplicate)
        assert world.says("worker", "chunk", sid="s", link=51) is None

    def test_is_found_after_the_bee_was_cut_off_and_forgotten(self, world: World) -> None:
        world.says("worker", "perf-mark", sid="s", link=50)
        world.loses("worker")
        world.joins("worker", "worker", models=["m"])

        assert isinstance(world.says("worker", "perf-mark", sid="s", link=50), Duplicate)

    def test_is_counted_for_a_door_over_all_its_clients(self, world: World) -> None:
        world.says("D/a", "attach", sid="s", link=7)

        assert isinstance(world.says("D/b", "attach", sid="s", link=7), Duplicate)

    def test_is_a_rid_of_an_earlier_connection_of_a_hid(self, world: World) -> None:
        world.joins("D/a", "worker", hid="same", models=["n"])
        world.says("D/a", "perf-mark", rid="once")
        world.says("D/a", "bee-retract", scope="client")
        world.joins("D/b", "worker", hid="same", models=["n"])

        assert isinstance(world.says("D/b", "perf-mark", rid="once"), Duplicate)
        assert world.says("D/b", "perf-mark", rid="new") is None

    def test_is_not_a_rid_used_again_on_one_connection(self, world: World) -> None:
        world.joins("D/a", "worker", models=["n"])
        world.says("D/a", "perf-mark", rid="once")

        assert world.says("D/a", "perf-mark", rid="once") is None

    def test_is_not_a_rid_of_another_hid(self, world: World) -> None:
        world.joins("D/a", "asker")
        world.says("D/a", "perf-mark", rid="once")
        world.joins("D/b", "asker")

        assert world.says("D/b", "perf-mark", rid="once") is None


def test_a_worker_asks_for_nothing_once_its_turn_is_over(world: World) -> None:
    world.says("worker", "finish", sid="s")

    verdict = world.says("worker", "permission-ask", sid="s", askId="late", tool="Bash")

    assert isinstance(verdict, Refusal)
    assert verdict.qualifier is DENIED


@pytest.mark.parametrize("call_id", ["waits", "x" * (ID_CHARS_MAX + 1)])
def test_a_reach_has_a_call_id_of_its_own(world: World, call_id: str) -> None:
    verdict = world.says("worker", "tendril-reach", sid="s", callId=call_id, tool="agent")

    assert isinstance(verdict, Refusal)
    assert verdict.qualifier is Qualifier.TONE_MALFORMED


def test_a_reach_is_answered_by_who_drives_its_sid_alone(world: World) -> None:
    assert world.says("worker", "tendril-reach", sid="s", callId="r", tool="agent") is None
    world.hears("worker")

    for who in ("watcher", "stranger", "callee"):
        assert isinstance(world.says(who, "tendril-result", sid="s", callId="r"), Refusal)
    assert world.says("owner", "tendril-result", sid="s", callId="r", output="done") is None

    (result,) = world.hears("worker")
    assert (result.chi, result.body["output"]) == ("tendril-result", "done")
