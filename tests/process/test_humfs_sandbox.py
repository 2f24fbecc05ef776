"""What is protected around a command, what holds missing names, and weaker sandboxes."""

import ctypes
import errno
import fcntl
import os
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import pytest
from anyio import to_thread
from tests.faults.rigs.small_disk import MIB, small_disk
from tests.support.sandbox import needs_bubblewrap
from tests.support.trees import sleepers, survivors

from humfs.core.sandbox import bubblewrap
from humfs.core.sandbox.bubblewrap import GUARD_LIBRARY, Box
from humfs.core.sandbox.layers import Level
from humfs.core.sandbox.names import IN_REPOSITORIES
from humfs.core.sandbox.plan import MOUNTS_MAX, How, Identity, Mount, ordered
from humfs.edge import commands, protected, sandbox
from humfs.edge.commands import Commands
from humfs.edge.filters import NoFilter
from humfs.edge.kernel import best_opener
from humfs.edge.masks import Masks
from humfs.edge.roots import Roots
from humfs.edge.sandbox import Sandbox
from humfs.errors import Code, Refusal
from humfs.tools.bash import Bash
from humfs.tools.tool import Call, Result
from nest.metrics import Registry

pytestmark = pytest.mark.process

SOMETHING = Identity(1, 2)
LOOKS = 500
"""Enough for many to meet a folder that goes; a few dozen do."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


@pytest.fixture
def roots(root: Path) -> Iterator[Roots]:
    roots = Roots([(str(root), "rw")], [], home=str(root))
    yield roots
    roots.close()


@pytest.fixture
def masks(tmp_path: Path) -> Masks:
    return Masks(tmp_path / "notes")


def look(roots: Roots, *hidden: Path, kept: tuple[Path, ...] = ()) -> protected.Found:
    return protected.look(roots, hidden=tuple(map(str, hidden)), kept=tuple(map(str, kept)))


def exchange(one: Path, other: Path, until: threading.Event) -> None:
    """Swap two names for one another again and again; each has its own again in the end."""
    call = ctypes.CDLL(None).renameat2
    here, way = os.fsencode(one), os.fsencode(other)
    while not until.is_set():
        for _ in range(2):
            call(-100, here, -100, way, 2)


def found_at(found: protected.Found, path: Path) -> How | None:
    return next((one.how for one in found.mounts if one.path == str(path)), None)


def held_in(found: protected.Found) -> set[str]:
    return {relative for _, relative in found.held}


class TestWhatIsProtected:
    def test_existing_names_and_every_folder_above_them(self, roots: Roots, root: Path) -> None:
        hooks = root / "a" / "b" / ".git" / "hooks"
        hooks.mkdir(parents=True)
        (hooks / "pre-commit").write_text("")
        (root / "a" / "mine.code-workspace").write_text("")
        os.mkfifo(root / ".bashrc")

        found = look(roots)

        assert found_at(found, hooks) is How.READABLE
        assert found_at(found, root / "a" / "mine.code-workspace") is How.READABLE
        assert found_at(found, root / ".bashrc") is How.READABLE
        for above in (hooks.parent, root / "a" / "b", root / "a", root):
            assert found_at(found, above) is How.WRITABLE

    def test_missing_names_in_roots_and_in_repositories(self, roots: Roots, root: Path) -> None:
        (root / "repo" / ".git").mkdir(parents=True)
        (root / "repo" / ".git" / "HEAD").write_text("")
        (root / "tree").mkdir()
        (root / "tree" / ".git").write_text("gitdir: elsewhere")
        (root / "plain").mkdir()

        held = held_in(look(roots))

        assert {".git", ".bashrc", ".vscode", "repo/.git/hooks", "repo/.vscode"} <= held
        assert "tree/.mcp.json" in held
        assert "repo/.bashrc" not in held
        assert not any(path.startswith("plain/") for path in held)

    def test_an_empty_folder_is_held_whole(self, roots: Roots, root: Path) -> None:
        (root / ".config").mkdir()
        (root / ".vscode").mkdir()

        held = held_in(look(roots))

        assert {".config", ".vscode"} <= held
        assert not any(path.startswith(".config/") for path in held)

    def test_a_name_that_goes_while_it_is_looked_at_is_held(self, roots: Roots, root: Path) -> None:
        """Another command lets go of its empty folders at any time."""
        names = [root / name for name in (".bashrc", ".vscode", "a/.idea", "a/.zed", "a/b/.vscode")]
        (root / "a" / "b").mkdir(parents=True)
        has_looked = threading.Event()

        def come_and_go() -> None:
            while not has_looked.is_set():
                for name in names:
                    name.mkdir()
                for name in names:
                    name.rmdir()

        with ThreadPoolExecutor(1) as pool:
            going = pool.submit(come_and_go)
            try:
                found = [look(roots) for _ in range(LOOKS)]
            finally:
                has_looked.set()
            going.result()

        assert not any(found_at(one, name) for one in found for name in names)
        assert all({".bashrc", ".vscode"} <= held_in(one) for one in found)

    def test_nothing_is_noted_that_a_link_leads_to(
        self, roots: Roots, root: Path, tmp_path: Path
    ) -> None:
        """A command that still runs swaps a folder for a link while the next is prepared."""
        inside, outside = root / "a" / "b", tmp_path / "outside" / "b"
        for folder in (inside, outside):
            folder.mkdir(parents=True)
            (folder / "x.code-workspace").write_text("")
        (root / "way").symlink_to(outside.parent)
        allowed = {path.lstat().st_ino for path in (root, *root.rglob("*"))}
        has_looked = threading.Event()

        with ThreadPoolExecutor(1) as pool:
            going = pool.submit(exchange, root / "a", root / "way", has_looked)
            try:
                found = [look(roots) for _ in range(LOOKS)]
            finally:
                has_looked.set()
            going.result()
        noted = {mount.identity.inode for one in found for mount in one.mounts}

        assert inside.stat().st_ino in noted
        assert noted <= allowed

    def test_a_folder_that_we_may_not_read_is_kept_whole(self, root: Path) -> None:
        """A command may take our right to look away, and have it back later."""

        def locked(directory: int, relative: str, flags: int) -> int:
            if relative == "a/locked":
                raise PermissionError(errno.EACCES, "permission denied", relative)
            return best_opener()(directory, relative, flags)

        (root / "a" / "locked").mkdir(parents=True)
        roots = Roots([(str(root), "rw")], [], home=str(root), opener=locked)

        found = look(roots)
        roots.close()

        assert found_at(found, root / "a" / "locked") is How.READABLE
        assert found_at(found, root / "a") is How.WRITABLE

    @pytest.mark.parametrize("name", [".git", ".bashrc", ".config", ".vscode", "a/.git/hooks"])
    def test_a_link_in_place_of_a_name_is_refused(
        self, roots: Roots, root: Path, name: str
    ) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to("/elsewhere")

        with pytest.raises(Refusal, match="symbolic link") as refusal:
            look(roots)
        assert refusal.value.code is Code.DENIED

    def test_denied_entries_are_hidden_and_missing_ones_held(
        self, roots: Roots, root: Path
    ) -> None:
        (root / "keys").mkdir()
        (root / "token").write_text("x")

        found = look(roots, root / "keys", root / "token", root / "later" / "x", Path("/outside"))

        assert found_at(found, root / "keys") is How.HIDDEN_DIRECTORY
        assert found_at(found, root / "token") is How.HIDDEN_FILE
        assert "later" in held_in(found)

    def test_what_is_denied_is_held_and_hidden_while_another_command_holds_it(
        self, masks: Masks, roots: Roots, root: Path
    ) -> None:
        for is_second in (False, True):
            found = look(roots, root / "secret")
            held = masks.hold(roots, found.held)
            (shown,) = (one for one in ordered([*found.mounts, *held]) if "secret" in one.path)

            assert shown.how is How.HIDDEN_DIRECTORY
            assert "secret" in held_in(found)
            assert (root / "secret").is_dir()
            if not is_second:
                first = held
        masks.release(roots, first)

        assert (root / "secret").is_dir()
        masks.release(roots, held)
        assert not (root / "secret").exists()

    def test_a_root_inside_a_root_cannot_be_moved_away(self, root: Path) -> None:
        (root / "a" / "vendor").mkdir(parents=True)
        both = Roots([(str(root), "rw"), (str(root / "a" / "vendor"), "ro")], [], home=str(root))

        found = look(both)
        both.close()

        assert found_at(found, root / "a" / "vendor") is How.READABLE
        assert found_at(found, root / "a") is How.WRITABLE

    def test_packages_are_not_searched_and_too_much_is_refused(
        self, roots: Roots, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (root / "node_modules" / "x" / ".vscode").mkdir(parents=True)
        assert not any("node_modules" in mount.path for mount in look(roots).mounts)
        for number in range(MOUNTS_MAX // len(IN_REPOSITORIES) + 1):
            (root / f"{number}" / ".git").mkdir(parents=True)

        with pytest.raises(Refusal, match="narrower") as refusal:
            look(roots)
        assert refusal.value.code is Code.TOO_LARGE
        monkeypatch.setattr(protected, "DIRECTORIES_MAX", 10)
        with pytest.raises(Refusal, match="folders"):
            look(roots)


class TestMasks:
    def test_are_made_shared_and_removed_with_the_last_user(
        self, masks: Masks, roots: Roots, root: Path, tmp_path: Path
    ) -> None:
        first = masks.hold(roots, [(roots.roots[0], ".vscode")])
        second = masks.hold(roots, [(roots.roots[0], ".vscode")])
        masks.release(roots, first)
        assert (root / ".vscode").is_dir()
        masks.release(roots, second)

        assert list(root.iterdir()) == []
        assert list((tmp_path / "notes").iterdir()) == []
        assert masks.held == 0

    def test_of_two_instances_the_last_removes_them(
        self, masks: Masks, roots: Roots, root: Path, tmp_path: Path
    ) -> None:
        other = Masks(tmp_path / "notes")
        first = masks.hold(roots, [(roots.roots[0], ".vscode")])
        second = other.hold(roots, [(roots.roots[0], ".vscode")])

        masks.release(roots, first)
        assert (root / ".vscode").is_dir()
        assert other.sweep(roots) == 0
        other.release(roots, second)

        assert list(root.iterdir()) == []
        assert list((tmp_path / "notes").iterdir()) == []

    def test_where_nothing_can_be_made_nothing_is_held(
        self, masks: Masks, roots: Roots, root: Path, tmp_path: Path
    ) -> None:
        with small_disk(root / "disk", MIB):
            remount = ["mount", "-o", "remount,ro", str(root / "disk")]
            subprocess.run(remount, check=True, capture_output=True)
            names = [(roots.roots[0], name) for name in ("disk/.vscode", ".vscode")]

            held = masks.hold(roots, names)

            assert [mount.path for mount in held] == [str(root / ".vscode")]
            assert len(list((tmp_path / "notes").iterdir())) == 1
            masks.release(roots, held)

    def test_a_folder_of_the_users_stays(
        self, masks: Masks, roots: Roots, root: Path, tmp_path: Path
    ) -> None:
        (root / ".vscode").mkdir()
        held = masks.hold(roots, [(roots.roots[0], name) for name in (".vscode", ".idea")])
        (root / ".idea" / "mine").write_text("x")
        masks.release(roots, held)

        assert sorted(path.name for path in root.iterdir()) == [".idea", ".vscode"]
        assert list((tmp_path / "notes").iterdir()) == []

    def test_what_a_killed_process_left_is_swept(
        self, masks: Masks, roots: Roots, root: Path, tmp_path: Path
    ) -> None:
        pid = os.fork()
        if not pid:
            masks.hold(roots, [(roots.roots[0], name) for name in (".vscode", ".idea", ".zed")])
            (root / ".zed" / "mine").write_text("x")
            os._exit(0)
        os.waitpid(pid, 0)
        assert len(list(root.iterdir())) == 3

        assert Masks(tmp_path / "notes").sweep(roots) == 2

        assert [path.name for path in root.iterdir()] == [".zed"]
        assert list((tmp_path / "notes").iterdir()) == []

    def test_a_folder_that_the_user_removed_is_made_again(
        self, masks: Masks, roots: Roots, root: Path
    ) -> None:
        first = masks.hold(roots, [(roots.roots[0], ".vscode")])
        (root / ".vscode").rmdir()

        second = masks.hold(roots, [(roots.roots[0], ".vscode")])

        assert (root / ".vscode").stat().st_ino == second[0].identity.inode
        masks.release(roots, [*first, *second])
        assert list(root.iterdir()) == []

    def test_one_that_a_program_has_locked_is_refused_and_not_waited_for(
        self, masks: Masks, roots: Roots, root: Path
    ) -> None:
        (root / ".vscode").mkdir()
        handle = os.open(root / ".vscode", os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX)

        with pytest.raises(Refusal, match="cannot be kept"):
            masks.hold(roots, [(roots.roots[0], ".vscode")])

        os.close(handle)
        masks.release(roots, masks.hold(roots, [(roots.roots[0], ".vscode")]))

    def test_a_name_that_cannot_be_held_stops_the_command(
        self, masks: Masks, roots: Roots, root: Path
    ) -> None:
        (root / ".idea").write_text("a file by now")

        with pytest.raises(Refusal, match="cannot be kept"):
            masks.hold(roots, [(roots.roots[0], name) for name in (".vscode", ".idea")])

        assert [path.name for path in root.iterdir()] == [".idea"]


@asynccontextmanager
async def tool(
    roots: Roots, masks: Masks, required: Level, *, bwrap: str | None = None
) -> AsyncIterator[Bash]:
    box = Sandbox(roots, masks, denied=(), bwrap=bwrap)
    attended = Commands(box, Registry())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(attended.attend)
        yield Bash(roots, box, attended, required)
        tasks.cancel_scope.cancel()


async def run(bash: Bash, command: str, **args: object) -> Result:
    call = Call(sid="s", call_id="c", tool="humfs_bash", args={"command": command, **args})
    return await bash.follow(call, lambda stream, text: None)


def replace(root: Path, instead: str) -> None:
    """Take a root away, and put something in its place."""
    root.rename(root.parent / "moved")
    if instead == "link":
        root.symlink_to("moved")
    elif instead == "folder":
        root.mkdir()


class TestWeakerSandboxes:
    async def test_without_bubblewrap_nothing_runs(
        self, roots: Roots, masks: Masks, root: Path
    ) -> None:
        async with tool(roots, masks, Level.PARTIAL, bwrap="/nowhere/bwrap") as bash:
            plain = await run(bash, "echo ran; git init -q .")

        assert plain.metadata["error"] == "sandbox"
        assert plain.metadata["sandbox"] == "none"
        assert "bubblewrap" in plain.metadata["sandboxMissing"]
        assert "fs.shell.requires" in plain.metadata["hint"]
        assert os.listdir(root) == []

    async def test_without_bubblewrap_commands_run_when_the_owner_says_so(
        self, roots: Roots, masks: Masks, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HUM_PROBE_SECRET", "x")
        async with tool(roots, masks, Level.NONE, bwrap="/nowhere/bwrap") as bash:
            result = await run(bash, 'echo "ran $HUM_PROBE_SECRET"; exit 3')

        assert result.output == "ran \n(exit 3)"
        assert result.metadata["sandbox"] == "none"

    @needs_bubblewrap
    async def test_a_missing_layer_is_named_and_full_is_refused(
        self, roots: Roots, masks: Masks, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def lacks(**_: bool) -> bytes:
            raise NoFilter("libseccomp is not there")

        monkeypatch.setattr(sandbox, "call_filter", lacks)
        async with tool(roots, masks, Level.PARTIAL) as bash:
            weak = await run(bash, "echo ran")
        async with tool(roots, masks, Level.FULL) as bash:
            full = await run(bash, "echo ran")

        assert (weak.output, weak.metadata["sandbox"]) == ("ran", "partial")
        assert "seccomp" in weak.metadata["sandboxMissing"]
        assert full.metadata["error"] == "sandbox"
        assert "libseccomp is not there" in full.output

    @needs_bubblewrap
    async def test_a_filter_that_the_kernel_refuses_counts_as_missing(
        self, roots: Roots, masks: Masks, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sandbox, "call_filter", lambda **_: b"\xff" * 8)
        async with tool(roots, masks, Level.PARTIAL) as bash:
            result = await run(bash, "echo ran")

        assert result.output == "ran"
        assert "seccomp" in result.metadata["sandboxMissing"]

    @needs_bubblewrap
    async def test_a_whole_machine_is_no_root(self, masks: Masks) -> None:
        everything = Roots([("/", "rw")], [], home="/")
        async with tool(everything, masks, Level.PARTIAL) as bash:
            result = await run(bash, "echo ran")
        everything.close()

        assert result.metadata["error"] == "sandbox"
        assert "narrower" in result.output


@needs_bubblewrap
@pytest.mark.parametrize(
    ("target", "name"), [("", ".hum"), ("", "usr"), ("/.hum", "nest"), ("/usr", "bin")]
)
def test_a_mount_that_lands_elsewhere_hides_nothing_that_the_guard_runs_on(
    root: Path, tmp_path: Path, target: str, name: str
) -> None:
    """A folder becomes a link after bubblewrap found its source: the mount lands where it leads."""
    library, evil = tmp_path / "nest", root / "evil"
    for folder, text in ((library, "ours"), (evil, "evil"), (evil / "nest", "evil")):
        folder.mkdir()
        (folder / "cells").write_text(text)
    (root / "way").symlink_to(f"/newroot{target}")
    place = f"{root}/way/{name}"
    box = Box(
        program=shutil.which("bwrap") or "",
        system=[("/usr", "/usr"), (str(library), f"{GUARD_LIBRARY}/nest")],
        links=[("usr/bin", "/bin"), ("usr/lib64", "/lib64"), ("usr/lib", "/lib")],
        texts=[],
        mounts=[
            Mount(str(root), How.WRITABLE, SOMETHING),
            Mount(place, How.WRITABLE, SOMETHING),
        ],
    )
    words = bubblewrap.command(box)
    words[words.index(place)] = str(evil)

    done = subprocess.run(
        [*words, "/bin/cat", f"{GUARD_LIBRARY}/nest/cells"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == "ours" or "bwrap: Can't mkdir" in done.stderr


@needs_bubblewrap
class TestCommands:
    async def test_no_roots_no_commands(self, masks: Masks) -> None:
        """humfs E140, 2.5."""
        nothing = Roots([], [], home="/")
        async with tool(nothing, masks, Level.PARTIAL) as bash:
            result = await run(bash, "echo ran")

        assert result.metadata["error"] == "outside_roots"

    async def test_a_root_for_reading_is_no_place_to_run(self, root: Path, masks: Masks) -> None:
        """humfs 2.5."""
        readable = Roots([(str(root), "ro")], [], home=str(root))
        async with tool(readable, masks, Level.PARTIAL) as bash:
            result = await run(bash, "echo ran")
        readable.close()

        assert result.metadata["error"] == "read_only"

    @pytest.mark.parametrize("instead", ["nothing", "link", "folder"])
    async def test_a_root_that_went_is_hidden_and_stops_no_command_in_another(
        self, root: Path, tmp_path: Path, masks: Masks, instead: str
    ) -> None:
        other = tmp_path / "other"
        other.mkdir()
        both = Roots([(str(root), "rw"), (str(other), "rw")], [], home=str(root))
        replace(other, instead)
        async with tool(both, masks, Level.PARTIAL) as bash:
            result = await run(bash, f"test -e {other} || echo hidden")
        both.close()

        assert result.output == "hidden"

    @pytest.mark.parametrize("instead", ["nothing", "link", "folder"])
    async def test_a_root_that_went_from_within_another_stops_its_commands(
        self, root: Path, masks: Masks, instead: str
    ) -> None:
        inner = root / "inner"
        inner.mkdir()
        both = Roots([(str(root), "rw"), (str(inner), "ro")], [], home=str(root))
        replace(inner, instead)
        async with tool(both, masks, Level.PARTIAL) as bash:
            result = await run(bash, "echo ran")
        both.close()

        assert result.metadata["error"] == "io"
        assert str(inner) in result.output
        assert "hum ctl restart humfs" in result.output

    async def test_protected_names_that_a_command_makes_are_named(
        self, roots: Roots, masks: Masks, root: Path
    ) -> None:
        (root / "old").mkdir()
        (root / "old" / ".envrc").write_text("")
        (root / "link.py").write_text("import os; os.symlink('x', 'old/.idea')")
        async with tool(roots, masks, Level.PARTIAL) as bash:
            result = await run(bash, "git init -q new && echo made")
            later = await run(bash, "cd new; git config a.b c; echo x > .git/hooks/pre-push; pwd")
            linked = await run(bash, "python3 link.py")

        made = [f"{root}/new/.git/config", f"{root}/new/.git/hooks"]
        assert result.metadata["protectedMade"][:2] == made
        assert made[0] in result.output
        assert later.metadata["error"] == "routed"
        assert "symbolic link" in str(linked.metadata["protectedMade"])

    async def test_a_name_swapped_at_the_wrong_moment_is_looked_at_again(
        self, roots: Roots, masks: Masks, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (root / ".bashrc").write_text("old")
        look = protected.look
        looked: list[protected.Found] = []

        def swapping(*args: object, **fields: object) -> protected.Found:
            found = look(*args, **fields)  # type: ignore[arg-type]
            if not looked:
                (root / "new").write_text("new")
                (root / "new").rename(root / ".bashrc")
            looked.append(found)
            return found

        monkeypatch.setattr(protected, "look", swapping)
        async with tool(roots, masks, Level.PARTIAL) as bash:
            result = await run(bash, "echo ran")

        assert result.output == "ran"
        assert len(looked) == 3  # the last one for what the command made

    @pytest.mark.parametrize("step", ["look", "hold"])
    async def test_a_repository_that_goes_before_the_command_runs_refuses_nothing(
        self, roots: Roots, masks: Masks, root: Path, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        """Others remove it once it was looked at, or once its missing names are held."""
        (root / "a" / "b" / ".git" / "hooks").mkdir(parents=True)
        (root / "a" / "b" / ".git" / "hooks" / "x").write_text("")
        place = protected if step == "look" else Masks
        done = getattr(place, step)

        def removing(*args: object, **fields: object) -> object:
            made = done(*args, **fields)
            shutil.rmtree(root / "a", ignore_errors=True)
            return made

        monkeypatch.setattr(place, step, removing)
        async with tool(roots, masks, Level.PARTIAL) as bash:
            result = await run(bash, "echo ran")

        assert result.output == "ran"
        assert masks.held == 0

    async def test_the_oldest_of_many_background_commands_ends(
        self, roots: Roots, masks: Masks, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(commands, "LINGERING_MAX", 1)
        tokens = [f"6{os.getpid()}{number}" for number in range(2)]
        async with tool(roots, masks, Level.PARTIAL) as bash:
            for token in tokens:
                result = await run(bash, f"sleep {token} & echo up")
                assert "still running" in result.output

            ended = partial(survivors, sleepers(tokens[0]), seconds=5)
            assert await to_thread.run_sync(ended) == []
            assert len(sleepers(tokens[1])) == 1

        assert sleepers(tokens[1]) == []
        assert os.listdir(root) == []
