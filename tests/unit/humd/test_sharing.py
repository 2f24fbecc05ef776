"""Foragers of files that share the work: whose a call is (features E10, humfs 2)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.world import World

from humd.core.arrivals import Refusal
from humd.core.calls import CALL_MS
from humd.core.roots import PATH_CHARS_MAX, ROOTS_MAX, files_of, plain
from humd.core.sharing import HANDS_MAX
from thrum.errors import Qualifier
from thrum.refusals import ROOTS_NAMED_MAX

PATHS = {"read": "file_path", "write": "file_path"}


@pytest.fixture
def world() -> World:
    world = World()
    world.joins("W", "worker", models=["m"])
    world.joins("A", "asker")
    world.says("A", "prompt", sid="s", modelId="m")
    world.hears("W")
    return world


def shares(world: World, name: str, *roots: str, hive: str = "", home: str = "/home/me") -> None:
    """A forager of files with these roots; one that ends in `=ro` may only be read."""
    told = [
        {"path": root.removesuffix("=ro"), "mode": "ro" if root.endswith("=ro") else "rw"}
        for root in roots
    ]
    tools = [{"name": tool, "description": f"the tool {tool}"} for tool in ("read", "write", "run")]
    files = {"roots": told, "home": home, "paths": PATHS}
    world.joins(name, "forager", hive=hive or name, tools=tools, provides=["fs"], files=files)


class Calling:
    """Calls that a worker makes, each under an id of its own."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.count = 0
        self.open: dict[str, list[str]] = {}

    def __call__(
        self, path: str | None, *, tool: str = "read", sid: str = "s", by: str = "W", **body: Any
    ) -> str:
        """Who gets a call of this path; an error's qualifier when nobody does."""
        self.count += 1
        call_id = f"c{self.count}"
        args = {} if path is None else {"file_path": path}
        self.world.says(by, "tool-call", sid=sid, callId=call_id, toolName=tool, args=args, **body)
        for client in ("F", "G", "H", by):
            for heard in self.world.hears(client):
                if heard.chi == "tool-call":
                    self.open.setdefault(client, []).append(call_id)
                    return client
                if heard.chi == "error":
                    self.said = str(heard.body["message"])
                    return str(heard.body["qualifier"])
        raise AssertionError("nobody heard of it")


@pytest.fixture
def calling(world: World) -> Calling:
    return Calling(world)


def test_an_id_names_one_call_of_the_forager_that_gets_it(world: World) -> None:
    """Else one caller would be told what another one asked for."""
    shares(world, "F", "/code")
    shares(world, "G", "/notes")
    world.joins("X", "worker", models=["x"])
    world.says("A", "prompt", sid="x", modelId="x")
    for worker, sid in (("W", "s"), ("X", "x")):
        world.hears(worker)
        said: dict[str, Any] = {"callId": "c", "toolName": "read"}
        verdict = world.says(worker, "tool-call", sid=sid, args={"file_path": "/notes/a"}, **said)
    world.says("G", "tool-result", callId="c", output="of W")

    assert isinstance(verdict, Refusal)
    assert verdict.qualifier is Qualifier.TONE_MALFORMED
    assert (world.chis("W"), world.chis("X")) == (["tool-result"], [])


class TestACallThatNamesAPath:
    @pytest.mark.parametrize(
        ("path", "who"),
        [
            ("/code/a.py", "F"),
            ("/code", "F"),
            ("/notes/a.md", "G"),
            ("/code/deep/a.py", "G"),
            ("/code/deeper/a.py", "F"),
            ("/code/deep/../a.py", "F"),
            ("//code/./deep//x", "G"),
            ("/code/**/*.py", "F"),
            ("~/mine/x", "F"),
            ("~", "tool.outside-roots"),
            ("/codex/a.py", "tool.outside-roots"),
            ("/", "tool.outside-roots"),
            ("/code/../etc/passwd", "tool.outside-roots"),
        ],
    )
    def test_goes_to_who_holds_it_below_the_longest_root(
        self, world: World, calling: Calling, path: str, who: str
    ) -> None:
        shares(world, "F", "/code", "/home/me/mine")
        shares(world, "G", "/notes", "/code/deep")

        assert calling(path) == who

    def test_in_nobodys_root_is_answered_with_every_root(
        self, world: World, calling: Calling
    ) -> None:
        shares(world, "F", "/code")
        shares(world, "G", "/notes=ro")

        assert calling("/etc/passwd") == "tool.outside-roots"
        what, mend = calling.said.splitlines()
        outside = "/etc/passwd is outside the directories that may be touched"
        assert what == f"{outside} (fs.roots: /code (rw), /notes (ro))."
        assert "below one of them" in mend
        assert "hum up --root" in mend

    def test_is_told_of_many_roots_how_many(self, world: World, calling: Calling) -> None:
        shares(world, "F", *(f"/r{at:03d}" for at in range(ROOTS_NAMED_MAX + 5)))
        shares(world, "G", "/code")

        calling("/etc")

        assert "and 6 more" in calling.said

    def test_goes_to_who_may_write_there(self, world: World, calling: Calling) -> None:
        shares(world, "F", "/code=ro")
        shares(world, "G", "/code")

        assert calling("/code/x", tool="write") == "G"

    @pytest.mark.parametrize(
        ("path", "cwd", "who"),
        [
            ("a.md", "/notes", "G"),
            ("a.md", "/notes/..", "tool.outside-roots"),
            ("a.md", None, "F"),
            ("a.md", "notes", "F"),
            ("a.md", "hum://here/notes", "G"),
            ("a.md", "hum://here", "tool.outside-roots"),
            ("/code/x", "/notes", "F"),
            ("~/a", "/notes", "tool.outside-roots"),
        ],
    )
    def test_that_is_relative_begins_at_its_cwd_or_with_the_first(
        self, world: World, calling: Calling, path: str, cwd: str | None, who: str
    ) -> None:
        shares(world, "G", "/notes", hive="files-b")
        shares(world, "F", "/code", hive="files")

        assert calling(path, **({} if cwd is None else {"cwd": cwd})) == who

    def test_too_long_for_any_system_goes_to_the_first(
        self, world: World, calling: Calling
    ) -> None:
        shares(world, "F", "/code")
        shares(world, "G", "/notes")

        assert calling("/notes/" + "x" * PATH_CHARS_MAX) == "F"

    def test_goes_to_a_forager_alone_whatever_it_is(self, world: World, calling: Calling) -> None:
        shares(world, "G", "/notes")

        assert calling("/etc/passwd") == "G"


class TestACallWithoutAPath:
    def test_is_about_the_folder_it_runs_in(self, world: World, calling: Calling) -> None:
        shares(world, "F", "/code")
        shares(world, "G", "/notes")

        assert calling(None, tool="run", cwd="/notes/x") == "G"
        assert calling(None, tool="run") == "F"
        assert calling("/notes", tool="run") == "F", "no argument of this tool is its path"

    def test_goes_to_the_least_loaded_of_those_with_the_roots_of_the_first(
        self, world: World, calling: Calling
    ) -> None:
        shares(world, "F", "/code")
        shares(world, "G", "/code")
        shares(world, "H", "/notes")
        for sid in ("s1", "s2", "s3", "s4"):
            world.says("A", "prompt", sid=sid, modelId="m")

        found = [calling(None, tool="run", sid=sid, by="W") for sid in ("s1", "s2", "s3", "s4")]

        assert found == ["F", "G", "F", "G"]


class TestEqualRoots:
    def test_share_the_work_and_a_conversation_stays_where_it_was(
        self, world: World, calling: Calling
    ) -> None:
        shares(world, "F", "/code")
        shares(world, "G", "/code")
        world.says("A", "prompt", sid="s2", modelId="m")

        assert calling("/code/a") == "F"
        assert calling("/code/b", sid="s2") == "G"
        assert [calling("/code/c") for _ in range(3)] == ["F"] * 3
        assert calling("/code/d", sid="s2") == "G"

    def test_take_over_what_one_leaves_and_its_calls_are_answered_at_once(
        self, world: World, calling: Calling
    ) -> None:
        shares(world, "F", "/code")
        shares(world, "G", "/code")
        assert calling("/code/a") == "F"

        world.loses("F")

        (error,) = [heard for heard in world.hears("W") if heard.chi == "error"]
        assert error.body["qualifier"] == "tool.forager-lost"
        assert calling("/code/a") == "G"
        shares(world, "F", "/code")
        assert calling("/code/a") == "G", "who served last knows what was shown"

    def test_are_asked_before_one_that_let_a_call_run_out_of_time(
        self, world: World, calling: Calling
    ) -> None:
        """Frozen, say. It is asked again once it has answered something."""
        shares(world, "F", "/code")
        shares(world, "G", "/code")
        assert calling("/code/a") == "F"
        world.waits(CALL_MS)
        world.hears("W")

        assert calling("/code/a") == "G"
        world.loses("G")
        assert calling("/code/a") == "F", "there is no other"
        world.says("F", "tool-result", sid="s", callId=calling.open["F"][-1])
        shares(world, "G", "/code")
        assert calling("/code/a") == "F"

    def test_are_asked_before_one_that_is_on_its_way_back(
        self, world: World, calling: Calling
    ) -> None:
        shares(world, "F", "/code")
        shares(world, "G", "/code")
        shares(world, "H", "/notes")
        world.boots()
        world.joins("W", "worker", models=["m"])
        world.joins("A", "asker")
        shares(world, "G", "/code")

        assert calling("/code/a") == "G"
        world.hears("H")
        world.says(
            "W", "tool-call", sid="s", callId="n", toolName="read", args={"file_path": "/notes"}
        )
        assert [heard.chi for heard in world.hears("H")] == ["tool-call"], (
            "it waits for the one back"
        )

    def test_remember_few_foragers_of_one_conversation(
        self, world: World, calling: Calling
    ) -> None:
        for at in range(HANDS_MAX + 3):
            world.joins(
                f"X{at}",
                "forager",
                hive=f"x{at}",
                tools=[{"name": "read"}],
                files={"roots": [{"path": f"/x{at}"}], "paths": PATHS},
            )
            world.says(
                "W",
                "tool-call",
                sid="s",
                callId=f"x{at}",
                toolName="read",
                args={"file_path": f"/x{at}/a"},
            )

        session = world.state.sessions.get("s")
        assert session is not None
        assert session.hands == tuple(f"X{at}" for at in range(3, HANDS_MAX + 3))


class TestWhatAModelSees:
    def listed(self, world: World) -> list[dict[str, Any]]:
        world.says("W", "finish", sid="s")
        world.says("A", "prompt", sid="s", modelId="m")
        (prompt,) = [heard for heard in world.hears("W") if heard.chi == "prompt"]
        tools: list[dict[str, Any]] = prompt.body["foragerTools"]
        return tools

    def test_is_the_same_for_one_and_for_many(self, world: World) -> None:
        shares(world, "F", "/code", hive="files")
        alone = self.listed(world)
        shares(world, "G", "/code", hive="files-b")
        shares(world, "H", "/notes", hive="files-c")

        assert self.listed(world) == alone
        world.loses("F")
        assert self.listed(world) == alone

    def test_has_a_tool_of_a_forager_without_roots_beside_it(self, world: World) -> None:
        shares(world, "F", "/code", hive="files")
        shares(world, "G", "/code", hive="files-b")
        world.joins("H", "forager", tools=[{"name": "read"}])

        names = [tool["name"] for tool in self.listed(world)]

        assert sorted(names) == ["H_read", "files_read", "run", "write"]
        calling = Calling(world)
        assert calling("/code/x", tool="files_read") == "F"
        assert calling("/code/x", tool="files-b_read") == "F"
        assert calling("/code/x", tool="H_read") == "H"

    def test_of_a_bee_at_the_door_is_not_shared(self, world: World, calling: Calling) -> None:
        """A name behind a door proves nothing, so it takes no calls from others."""
        world.joins("D", "door")
        shares(world, "F", "/code")
        shares(world, "D/x", "/code/secret")

        names = [tool["name"] for tool in self.listed(world)]

        assert len(names) == 6
        assert calling("/code/secret/a") == "F"


def test_the_manifest_tells_the_roots(world: World) -> None:
    shares(world, "F", "/code", "/notes/=ro")
    (bee,) = [bee for bee in world.state.clients.bees() if bee.name == "F"]

    assert bee.manifest["roots"] == [
        {"path": "/code", "mode": "rw"},
        {"path": "/notes", "mode": "ro"},
    ]


def test_who_serves_is_the_same_after_a_replay(world: World, calling: Calling) -> None:
    shares(world, "F", "/code")
    shares(world, "G", "/code")
    calling("/code/a")
    calling("/code/a", tool="write")

    again = world.replayed()

    assert {call.callee for call in again.calls.waiting.values()} == {"F"}
    session = again.sessions.get("s")
    assert session is not None
    assert session.hands == ("F",)


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "/code",
        {"roots": "/code"},
        {"roots": [1, {"path": 2}, {"path": "code"}, {"path": "/" + "x" * PATH_CHARS_MAX}]},
        {"roots": [{"mode": "rw"}], "home": 3, "paths": ["read"]},
        {"paths": {"read": 7}},
    ],
)
def test_what_does_not_fit_is_left_out(value: object) -> None:
    files = files_of(value)

    assert files is None or (files.roots, files.home, files.paths) == ((), "", {})


def test_roots_past_the_bound_are_left_out() -> None:
    files = files_of({"roots": [{"path": f"/{at}"} for at in range(ROOTS_MAX + 1)]})

    assert files is not None
    assert len(files.roots) == ROOTS_MAX


@given(st.lists(st.sampled_from(["a", "b", "..", ".", ""]), max_size=8))
def test_a_plain_path_is_plain(parts: list[str]) -> None:
    path = plain("/" + "/".join(parts))

    assert plain(path) == path
    assert path.startswith("/")
    assert not {"..", ".", ""} & set(path.split("/")[1:]) or path == "/"


def test_what_is_kept_does_not_depend_on_the_order_of_the_hello() -> None:
    """The log sorts keys; a state that kept another order would not be that of a replay."""
    one, other = ({"paths": dict(order)} for order in (PATHS.items(), reversed(PATHS.items())))

    found = [files_of(value) for value in (one, other)]

    kept = [list(files.paths) for files in found if files is not None]
    assert kept == [["read", "write"]] * 2
