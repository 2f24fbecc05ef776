"""Which paths may be touched (humfs 2, 12.6), with both ways to open."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from humfs.edge import kernel, walks
from humfs.edge.roots import LINKS_MAX, Mode, Roots
from humfs.edge.watch import Watch
from humfs.errors import Code, Refusal

pytestmark = pytest.mark.process

Make = Callable[..., Roots]


@pytest.fixture(params=["openat2", "components"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes roots that open with the kernel's call, or name by name."""
    openers = {"openat2": kernel.open_with_openat2, "components": kernel.open_by_components}
    if request.param == "openat2" and kernel.best_opener() is not kernel.open_with_openat2:
        pytest.skip("this kernel has no openat2")
    made: list[Roots] = []

    def build(
        *roots: tuple[Path, Mode], denied: tuple[Path, ...] = (), home: Path = Path("/")
    ) -> Roots:
        given = [(str(path), mode) for path, mode in roots]
        opener = openers[request.param]
        made.append(Roots(given, [str(path) for path in denied], home=str(home), opener=opener))
        return made[-1]

    yield build
    for one in made:
        one.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A root `w`, a sibling `w2`, and `outside`, each with a file `f`."""
    for name in ("w", "w2", "outside", "w/real"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text(f"in {name}\n")
    return tmp_path


def content(roots: Roots, asked: str, cwd: str | None = None) -> str:
    with roots.open(asked, cwd) as opened:
        return os.read(opened.handle, 100).decode()


def code(roots: Roots, asked: str, cwd: str | None = None) -> Code:
    with pytest.raises(Refusal) as refused, roots.open(asked, cwd):
        pass
    return refused.value.code


def test_without_roots_every_path_is_refused_and_the_mend_is_named(make: Make, home: Path) -> None:
    """humfs E140."""
    with pytest.raises(Refusal) as refused, make().open(str(home / "w/f")):
        pass

    assert refused.value.code is Code.OUTSIDE_ROOTS
    assert "fs.roots" in str(refused.value)
    assert "hum up --root DIR" in refused.value.hint


@pytest.mark.parametrize(
    "asked",
    ["{w}/../outside/f", "{w}/real/../../outside/f", "{w}/no/../../outside/f", "../outside/f", "/"],
)
def test_traversal_is_outside(make: Make, home: Path, asked: str) -> None:
    """humfs E141."""
    roots = make((home / "w", "rw"))

    assert code(roots, asked.format(w=home / "w")) is Code.OUTSIDE_ROOTS


def test_links_out_are_refused_and_links_within_work(make: Make, home: Path) -> None:
    """humfs E142."""
    (home / "w/link").symlink_to(home / "outside")
    (home / "w/up").symlink_to("../outside/f")
    (home / "w/in").symlink_to(home / "w/real")
    (home / "w/near").symlink_to("real/f")
    (home / "back").symlink_to(home / "w")
    roots = make((home / "w", "rw"))

    assert code(roots, str(home / "w/link/f")) is Code.OUTSIDE_ROOTS
    assert code(roots, str(home / "w/link/new.txt")) is Code.OUTSIDE_ROOTS
    assert code(roots, str(home / "w/up")) is Code.OUTSIDE_ROOTS
    assert content(roots, str(home / "w/in/f")) == "in w/real\n"
    assert content(roots, str(home / "w/near")) == "in w/real\n"
    assert content(roots, str(home / "back/f")) == "in w\n"


def test_a_sibling_with_the_same_prefix_is_outside(make: Make, home: Path) -> None:
    """humfs E143."""
    assert code(make((home / "w", "rw")), str(home / "w2/f")) is Code.OUTSIDE_ROOTS


def test_denied_wins_also_through_links_walks_and_other_names(make: Make, home: Path) -> None:
    """humfs E144."""
    secret = home / "w/.ssh"
    secret.mkdir()
    (secret / "id").write_text("key")
    (home / "w/key").symlink_to(secret / "id")
    (home / "w/keys").symlink_to(secret)
    roots = make((home / "w", "rw"), denied=(secret,))

    for asked in (".ssh/id", ".ssh", ".ssh/no", "key", "keys/id", "real/../.ssh/id", "./.ssh//id"):
        assert code(roots, asked) is Code.DENIED, asked
    with roots.open(".") as opened:
        found = walks.walk(roots, opened, shown=".", watch=Watch())
    assert [target.path for target in found.targets] == ["./f", "./real/f"]


def test_denied_entries_are_resolved_like_paths(make: Make, home: Path) -> None:
    (home / "w/alias").symlink_to(home / "w/real")
    roots = make((home / "w", "rw"), denied=(home / "w/alias",))

    assert code(roots, "real/f") is Code.DENIED
    assert code(roots, "alias/f") is Code.DENIED


def test_the_longest_root_decides_the_mode(make: Make, home: Path) -> None:
    """humfs E145."""
    for order in ((0, 1), (1, 0)):
        both: tuple[tuple[Path, Mode], ...] = ((home / "w", "rw"), (home / "w/real", "ro"))
        roots = make(*(both[at] for at in order))
        assert roots.place(str(home / "w/real/f")).root.mode == "ro"
        assert roots.place(str(home / "w/f")).root.mode == "rw"
        assert content(roots, str(home / "w/real/f")) == "in w/real\n"


def test_what_is_no_file_is_refused_at_once(make: Make, home: Path) -> None:
    """humfs E149."""
    os.mkfifo(home / "w/pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home / "w/sock"))
        roots = make((home / "w", "rw"))

        assert code(roots, "pipe") is Code.NOT_REGULAR
        assert code(roots, "sock") is Code.NOT_REGULAR


def test_a_file_with_two_links_is_readable(make: Make, home: Path) -> None:
    """humfs E147."""
    (home / "w/two").hardlink_to(home / "w/f")

    assert content(make((home / "w", "rw")), "two") == "in w\n"


def test_outside_the_refusal_does_not_depend_on_what_is_there(make: Make, home: Path) -> None:
    """humfs 2.2 rule 8."""
    locked = home / "outside/locked"
    locked.mkdir(mode=0)
    (home / "outside/loop").symlink_to("loop")
    (home / "outside/to-denied").symlink_to(home / "outside")
    roots = make((home / "w", "rw"), denied=(home / "outside/secret",))

    def refused(asked: str) -> str:
        with pytest.raises(Refusal) as caught, roots.open(asked):
            pass
        return str(caught.value).replace(asked, "PATH")

    names = ("f", "no", "f/x", "no/x", "locked/x", "loop", "loop/x", "x" * 300, "to-denied/secret")
    told = {refused(f"{home}/outside/{name}") for name in names}
    climbing = {refused(f"{home}/outside/{name}/../../w/f") for name in ("f", "no", "locked")}
    assert len(told) == 1
    assert climbing == told
    locked.chmod(0o700)


def test_a_relative_path_starts_at_cwd_else_at_the_first_root(make: Make, home: Path) -> None:
    roots = make((home / "w", "rw"), home=home / "w")

    assert content(roots, "f") == "in w\n"
    assert content(roots, "f", str(home / "w/real")) == "in w/real\n"
    assert content(roots, "~/f") == "in w\n"
    assert code(roots, "f", str(home / "outside")) is Code.OUTSIDE_ROOTS


def test_link_loops_and_long_chains_end(make: Make, home: Path) -> None:
    (home / "w/loop").symlink_to("loop")
    (home / "w/l0").symlink_to("f")
    for at in range(LINKS_MAX + 1):
        (home / f"w/l{at + 1}").symlink_to(f"l{at}")
    roots = make((home / "w", "rw"))

    assert code(roots, "loop") is Code.IO
    assert code(roots, f"l{LINKS_MAX}") is Code.IO
    assert content(roots, f"l{LINKS_MAX - 1}") == "in w\n"


@pytest.mark.parametrize("asked", ["w", "w/new", "w/f", "w/none"])
@pytest.mark.parametrize("what", ["gone", "new", "link"])
def test_a_root_that_was_replaced_is_refused_with_the_mend(
    make: Make, home: Path, asked: str, what: str
) -> None:
    roots = make((home / "w", "rw"))
    (home / "w").rename(home / "moved")
    if what == "new":
        (home / "w").mkdir()
        (home / "w/new").write_text("other")
        (home / "w/f").write_text("not what the root has")
    elif what == "link":
        (home / "w").symlink_to("/etc")

    with pytest.raises(Refusal) as refused, roots.open(str(home / asked)):
        pass

    assert "hum ctl restart humfs" in refused.value.hint


def test_a_missing_root_is_left_out_and_named(make: Make, home: Path) -> None:
    roots = make((home / "no", "rw"), (home / "w/f", "rw"), (home / "w", "rw"))

    assert roots.missing == [str(home / "no"), str(home / "w/f")]
    assert [root.path for root in roots.roots] == [str(home / "w")]


def test_a_root_may_be_reached_by_a_link(make: Make, home: Path) -> None:
    (home / "project").symlink_to(home / "w")
    roots = make((home / "project", "rw"))

    assert content(roots, str(home / "project/f")) == "in w\n"
    assert content(roots, str(home / "w/f")) == "in w\n"


def test_a_walk_enters_no_link_and_lists_only_links_to_files_inside(make: Make, home: Path) -> None:
    """humfs 2.4."""
    (home / "w/dir").symlink_to("real")
    (home / "w/good").symlink_to("real/f")
    (home / "w/bad").symlink_to(home / "outside/f")
    roots = make((home / "w", "rw"))

    with roots.open(".") as opened:
        found = walks.walk(roots, opened, shown=".", watch=Watch())

    assert [target.path for target in found.targets] == ["./f", "./good", "./real/f"]


@pytest.mark.parametrize("relative", ["..", "a/../b", "/etc", "a//b", ""])
def test_the_fallback_takes_plain_relative_paths_only(home: Path, relative: str) -> None:
    directory = os.open(home, os.O_RDONLY)
    try:
        with pytest.raises(OSError, match=r"Invalid cross-device link|cross-device"):
            os.close(kernel.open_by_components(directory, relative, kernel.READ_FLAGS))
    finally:
        os.close(directory)


@pytest.mark.parametrize("opener", [kernel.open_with_openat2, kernel.open_by_components])
def test_no_opener_follows_a_link_anywhere(home: Path, opener: kernel.Opener) -> None:
    (home / "w/link").symlink_to("real")
    (home / "w/last").symlink_to("f")
    directory = os.open(home / "w", os.O_RDONLY)
    try:
        for relative in ("link/f", "last"):
            with pytest.raises(OSError):  # ELOOP or ENOTDIR
                os.close(opener(directory, relative, kernel.READ_FLAGS))
        os.close(opener(directory, "real/f", kernel.READ_FLAGS))
    finally:
        os.close(directory)
