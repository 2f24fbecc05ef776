"""What a sandbox shows and hides, decided without one (reliability 6.1, 6.2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from humfs.core.denied import protecting
from humfs.core.sandbox import bubblewrap
from humfs.core.sandbox.bubblewrap import Box
from humfs.core.sandbox.changes import TOLD_MAX, Since
from humfs.core.sandbox.layers import Layer, Level, Standing, level
from humfs.core.sandbox.names import IN_REPOSITORIES, IN_ROOTS, may_be_protected
from humfs.core.sandbox.plan import How, Identity, Mount, ordered

SOMETHING = Identity(1, 2)


@pytest.mark.parametrize(
    ("layers", "made"),
    [
        (set(Layer), Level.FULL),
        (set(Layer) - {Layer.SECCOMP}, Level.PARTIAL),
        ({Layer.BUBBLEWRAP}, Level.PARTIAL),
        (set(Layer) - {Layer.BUBBLEWRAP}, Level.NONE),
        (set(), Level.NONE),
    ],
)
def test_layers_make_a_level(layers: set[Layer], made: Level) -> None:
    assert level(layers) is made


def test_a_level_suffices_for_itself_and_what_is_below() -> None:
    full = Standing(frozenset(Layer))
    partial = full.without(Layer.PIDS, "no cgroup")
    none = partial.without(Layer.BUBBLEWRAP, "not installed")

    assert [full.suffices(one) for one in Level] == [True, True, True]
    assert [partial.suffices(one) for one in Level] == [False, True, True]
    assert [none.suffices(one) for one in Level] == [False, False, True]
    assert none.missing == {Layer.PIDS: "no cgroup", Layer.BUBBLEWRAP: "not installed"}


@pytest.mark.parametrize("name", IN_ROOTS)
def test_each_protected_name_is_looked_for(name: str) -> None:
    for path in (name, f"a/b/{name}", name.upper()):
        assert protecting(path) is not None
        assert may_be_protected(path.rpartition("/")[2])


@given(st.text(min_size=1).filter(lambda name: "/" not in name))
def test_what_is_not_looked_for_is_not_protected(name: str) -> None:
    assert may_be_protected(name) or protecting(name) is None


def test_repositories_need_what_projects_have_and_no_start_up_files() -> None:
    assert ".git/hooks" in IN_REPOSITORIES
    assert ".vscode" in IN_REPOSITORIES
    assert ".bashrc" not in IN_REPOSITORIES
    assert set(IN_REPOSITORIES) < set(IN_ROOTS)


def test_deeper_mounts_come_later_and_the_stricter_one_stays() -> None:
    paths = ["/r/a/b", "/r", "/r/a", "/r-b", "/r/a/b"]
    hows = [How.WRITABLE, How.WRITABLE, How.READABLE, How.WRITABLE, How.HIDDEN_FILE]
    mounts = [Mount(path, how, SOMETHING) for path, how in zip(paths, hows, strict=True)]

    made = ordered(mounts)

    assert [mount.path for mount in made] == ["/r", "/r/a", "/r/a/b", "/r-b"]
    assert made[2].how is How.HIDDEN_FILE


def test_bubblewrap_is_told_everything_before_the_command() -> None:
    box = Box(
        program="/usr/bin/bwrap",
        system=[("/usr", "/usr")],
        links=[("usr/bin", "/bin")],
        texts=[(9, "/etc/passwd")],
        mounts=[
            Mount("/r", How.WRITABLE, SOMETHING),
            Mount("/r/.git/hooks", How.READABLE, SOMETHING),
            Mount("/r/private", How.HIDDEN_DIRECTORY, SOMETHING),
            Mount("/r/key", How.HIDDEN_FILE, SOMETHING),
        ],
        filter=8,
    )

    words = bubblewrap.command(box)

    text = " ".join(words)
    assert words[0] == "/usr/bin/bwrap"
    assert words[-1] == "--"
    for option in (
        "--unshare-all",
        "--disable-userns",
        "--cap-drop ALL",
        "--die-with-parent",
        "--new-session",
        "--as-pid-1",
        "--bind /r /r",
        "--ro-bind /r/.git/hooks /r/.git/hooks",
        "--tmpfs /r/private --remount-ro /r/private",
        "--ro-bind /dev/null /r/key",
        "--seccomp 8",
        "--remount-ro /proc --remount-ro /",
    ):
        assert option in text
    assert "--share-net" not in text
    assert text.index("--bind /r /r") < text.index("--ro-bind /r/.git/hooks")
    assert text.index("--remount-ro / ") > text.index("--ro-bind /dev/null /r/key")


def test_what_became_of_protected_names_adds_up_and_is_bounded() -> None:
    first = Since(made=("a",), replaced=("b",))
    second = Since(replaced=("b", "c"), removed=("d",))

    assert first | second == Since(made=("a",), replaced=("b", "c"), removed=("d",))
    assert second - first == Since(replaced=("c",), removed=("d",))
    many = Since(made=tuple(map(str, range(2 * TOLD_MAX))))
    assert len((Since() | many).made) == TOLD_MAX
