"""Who is a bee, under which name, and with what to offer."""

from typing import Any

import pytest
from tests.support.world import World, hid_named

from humd.core.arrivals import CatchUp, CaughtUp, Refusal
from humd.core.clients import HIDS_MAX, LINKS_MAX, RIDS_MAX
from humd.core.hellos import HELLO_BYTES_MAX, TOOLS_MAX
from thrum.errors import Qualifier


@pytest.fixture
def world() -> World:
    return World()


def names(world: World) -> list[str | None]:
    return [bee.name for bee in world.state.clients.bees()]


def test_a_hello_registers_a_bee_under_its_hid(world: World) -> None:
    world.joins("W", "worker", models=["m"])

    (bee,) = world.state.clients.bees()

    assert (bee.hid, bee.name, bee.models) == (hid_named("W"), "W", ("m",))


def test_a_hello_without_a_name_registers_nobody(world: World) -> None:
    assert world.says("D/a", "hello") is None

    assert names(world) == []


def test_a_malformed_hid_counts_as_none(world: World) -> None:
    world.says("D/a", "hello", hive="sms", hid="wbee_no")

    (bee,) = world.state.clients.bees()

    assert bee.hid is None


@pytest.mark.parametrize("field", ["models", "provides", "bee", "chis"])
def test_a_field_of_the_wrong_type_is_ignored(world: World, field: str) -> None:
    body: dict[str, Any] = {"hive": "x", field: 7}
    world.says("D/a", "hello", **body)

    assert names(world) == ["x"]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ({"wire": "x", "richness": None, "more": {"a": 1}}, {"wire": "x"}),
        ({"wire": "x", "richness": 7}, {}),
        ("rich", {}),
    ],
)
def test_a_propensity_is_kept_as_far_as_it_fits(world: World, said: Any, kept: Any) -> None:
    world.says("D/a", "hello", hive="x", propensity=said)

    (bee,) = world.state.clients.bees()

    assert bee.manifest["propensity"] == kept


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ({"host": "::1", "port": 0, "more": "x"}, {"host": "::1", "port": 0}),
        (
            {"host": "h", "port": 65_535, "scheme": "s"},
            {"host": "h", "port": 65_535, "scheme": "s"},
        ),
        ({"host": "h", "port": 65_536}, None),
        ({"host": "h", "port": -1}, None),
        ({"host": "h", "port": True}, None),
        ({"host": 7, "port": 1}, None),
        ({"host": "h", "port": 1, "scheme": 7}, None),
        ("h:1", None),
    ],
)
def test_an_address_that_is_none_is_not_kept(world: World, said: Any, kept: Any) -> None:
    world.says("D/a", "hello", hive="x", bind=said)

    (bee,) = world.state.clients.bees()

    assert bee.manifest.get("bind") == kept


def test_a_hello_that_would_burden_every_prompt_is_refused(world: World) -> None:
    tool = {"name": "t", "description": "x" * HELLO_BYTES_MAX}

    verdict = world.says("D/a", "hello", hive="x", tools=[tool])

    assert isinstance(verdict, Refusal)
    assert verdict.qualifier is Qualifier.FRAME_TOO_LARGE


def test_a_role_given_as_a_string_counts_as_a_list_of_one(world: World) -> None:
    world.says("D/a", "hello", hive="ollama-server", bee="asker")

    (bee,) = world.state.clients.bees()

    assert bee.roles == {"asker"}


def test_of_two_connections_with_one_hid_the_newest_is_listed(world: World) -> None:
    world.joins("D", "door")
    world.joins("D/a", "asker", hid="same")
    world.now_ms += 1
    world.joins("D/b", "asker", hid="same")

    assert [bee.id for bee in world.state.clients.bees() if bee.door] == ["D/b"]


def test_the_older_connection_of_a_hid_still_works_as_an_asker(world: World) -> None:
    world.joins("D", "door")
    world.joins("W", "worker", models=["m"])
    world.joins("D/a", "asker", hid="same")
    world.joins("D/b", "asker", hid="same")

    world.says("D/a", "prompt", sid="s", modelId="m")
    world.says("W", "chunk", sid="s", delta="x")

    assert (world.chis("D/a"), world.chis("D/b")) == (["chunk"], [])


def test_when_the_newest_connection_of_a_hid_goes_the_older_is_listed_again(world: World) -> None:
    world.joins("D", "door")
    world.joins("D/a", "forager", hid="same", tools=[{"name": "t"}])
    world.now_ms += 1
    world.joins("D/b", "forager", hid="same", tools=[{"name": "t"}])

    world.says("D/b", "bee-retract", scope="client")

    assert world.state.catalogue.offers["t"].forager.id == "D/a"


def test_a_hid_that_only_a_door_vouches_for_does_not_replace_a_proven_one(world: World) -> None:
    world.joins("W", "worker", models=["m"])
    world.joins("D/a", "worker", hid="W", models=["m"])

    assert sorted(bee.id for bee in world.state.clients.bees()) == ["D/a", "W"]


def test_a_new_process_of_a_bee_replaces_the_old_one(world: World) -> None:
    world.joins("W1", "worker", hid="key", models=["m"])
    world.joins("W2", "worker", hid="key", models=["m"])

    assert [bee.id for bee in world.state.clients.bees()] == ["W2"]


def test_turns_of_a_replaced_process_end_with_worker_lost(world: World) -> None:
    world.joins("W1", "worker", hid="key", models=["m"])
    world.joins("A", "asker")
    world.says("A", "prompt", sid="s", modelId="m")

    world.joins("W2", "worker", hid="key", models=["m"])

    (error,) = world.hears("A")
    assert error.body["qualifier"] == Qualifier.WORKER_LOST


def test_clients_of_a_replaced_door_are_adrift_not_forgotten(world: World) -> None:
    world.joins("D1", "door", hid="door")
    world.joins("D1/a", "asker")

    world.joins("D2", "door", hid="door")

    left = world.state.clients.get("D1/a")
    assert left is not None
    assert not left.is_connected


def test_a_bee_on_the_bus_cannot_take_another_hid_after_joining(world: World) -> None:
    world.joins("V", "worker", models=["m"])
    world.joins("X", "asker")

    verdict = world.says("X", "hello", hive="X", hid=hid_named("V"))

    assert isinstance(verdict, Refusal)
    assert verdict.qualifier is Qualifier.AUTH_DENIED
    assert "V" in names(world)


def test_a_bee_may_announce_itself_anew_under_its_own_hid(world: World) -> None:
    world.joins("W", "worker", models=["m"])

    assert world.says("W", "hello", hive="W", hid=hid_named("W"), models=["n"]) is None

    (bee,) = world.state.clients.bees()
    assert bee.models == ("n",)


def test_a_retracted_bee_offers_nothing_and_is_still_there(world: World) -> None:
    world.joins("F", "forager", tools=[{"name": "t"}])

    world.says("F", "bee-retract")

    assert names(world) == []
    assert world.state.catalogue.offers == {}
    assert world.state.knows("F")


def test_a_null_schema_becomes_an_empty_object(world: World) -> None:
    world.joins("F", "forager", tools=[{"name": "t", "inputSchema": None}])

    (bee,) = world.state.clients.bees()

    assert bee.tools[0]["inputSchema"] == {"type": "object", "properties": {}}


def test_tools_past_the_bound_are_not_offered(world: World) -> None:
    world.joins("F", "forager", tools=[{"name": f"t{n}"} for n in range(TOOLS_MAX + 1)])

    assert len(world.state.catalogue.names) == TOOLS_MAX


def test_the_rids_of_a_hid_are_remembered_up_to_a_bound(world: World) -> None:
    world.joins("D/a", "asker")
    client = world.state.clients.touch("D/a")

    for number in range(RIDS_MAX + 5):
        world.state.clients.remember_rid(client, str(number), number)

    assert len(world.state.clients._rids[hid_named("D/a")]) == RIDS_MAX


def test_hids_whose_rids_are_remembered_have_a_bound(world: World) -> None:
    client = world.state.clients.touch("D/a")

    for number in range(HIDS_MAX + 5):
        world.state.clients._set_hid(client, f"hid-{number}")
        world.state.clients.remember_rid(client, "r", number)

    assert next(iter(world.state.clients._rids)) == "hid-5"


def test_link_numbers_of_clients_that_left_have_a_bound(world: World) -> None:
    for number in range(LINKS_MAX + 5):
        world.state.clients.touch(f"B{number}").links.add(1)
        world.state.clients.drop(f"B{number}")

    assert len(world.state.clients._links) == LINKS_MAX


@pytest.mark.parametrize("sid", [None, ""])
def test_who_attaches_to_nothing_hears_nothing(world: World, sid: str | None) -> None:
    world.joins("A", "asker")

    assert world.says("A", "attach", sid=sid) is None

    assert world.state.sessions.by_sid == {}


def test_who_attaches_without_a_number_is_read_nothing_of_before(world: World) -> None:
    world.joins("A", "asker")
    world.says("A", "attach", sid="s")
    without = [effect for _, effect in world.effects if isinstance(effect, CatchUp)]

    world.says("A", "attach", sid="s", slots={"wane": 0})

    found = [effect.after for _, effect in world.effects if isinstance(effect, CatchUp)]
    assert (without, found) == ([], [0])


@pytest.mark.parametrize("ends", ["detach", "bee-retract"])
def test_what_is_read_to_a_late_listener_ends_when_it_goes(world: World, ends: str) -> None:
    world.joins("D", "door")
    world.joins("D/a", "asker")
    world.says("D/a", "attach", sid="s", slots={"wane": 0})

    world.says("D/a", ends, sid="s" if ends == "detach" else None, scope="client")

    found = [effect for _, effect in world.effects if isinstance(effect, CaughtUp)]
    assert found == [CaughtUp("D/a", "s")]
    session = world.state.sessions.get("s")
    assert session is not None
    assert not session.watchers
    assert world.state.sessions.of("D/a") == []
