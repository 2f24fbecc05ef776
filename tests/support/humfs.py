"""The file tools on a real directory, without a bus."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from humfs.core.memory import Memory
from humfs.edge.journal import Journal
from humfs.edge.kernel import Opener
from humfs.edge.landed import Landed
from humfs.edge.lease_file import LeaseFile, now_ms
from humfs.edge.roots import Mode, Roots
from humfs.edge.watch import Watch
from humfs.edge.writes import Writer
from humfs.errors import Refusal
from humfs.tools.changes import Changes
from humfs.tools.code import DoCode
from humfs.tools.lease import LeaseTool
from humfs.tools.noncode import DoNoncode
from humfs.tools.read import Read
from humfs.tools.tool import Call, Result, Tool, refused

_NUMBERS = count()


@dataclass(frozen=True)
class Tools:
    """One humfs over some roots, with a state directory beside them."""

    changes: Changes
    by_name: dict[str, Tool]

    def call(
        self, tool: str, args: object, *, sid: str = "s", cwd: str | None = None, **fields: Any
    ) -> Result:
        """One call and its result, refused or not."""
        made = Call(sid=sid, call_id=f"c{next(_NUMBERS)}", tool=tool, args=args, cwd=cwd, **fields)
        try:
            return self.by_name[tool].run(made, Watch())
        except Refusal as refusal:
            return refused(refusal)

    def read(self, path: str, **args: str) -> Result:
        """A call of `humfs_read`."""
        return self.call("humfs_read", {"file_path": path, **args})

    def code(self, path: str, **args: str) -> Result:
        """A call of `humfs_do_code`."""
        return self.call("humfs_do_code", {"file_path": path, **args})

    def text(self, path: str, **args: str) -> Result:
        """A call of `humfs_do_noncode`."""
        return self.call("humfs_do_noncode", {"file_path": path, **args})


@contextmanager
def humfs(
    *roots: tuple[Path, Mode],
    state: Path,
    denied: tuple[Path, ...] = (),
    opener: Opener | None = None,
    clock: Callable[[], int] = now_ms,
) -> Iterator[Tools]:
    """The tools over `roots`; `state` is a private directory outside them."""
    given = [(str(path), mode) for path, mode in roots]
    opened = Roots(given, [str(path) for path in denied], home=str(roots[0][0]), opener=opener)
    journal = Journal(state / "writes")
    journal.sweep(opened)
    landed = Landed(state / "table" / "landed")
    leases = LeaseFile(state / "table" / "leases", clock=clock)
    changes = Changes(opened, Writer(opened, journal), Memory(), landed, leases)
    tools: tuple[Tool, ...] = (Read(opened, changes.memory), DoCode(changes), DoNoncode(changes))
    tools = (*tools, LeaseTool(opened, leases))
    try:
        yield Tools(changes, {tool.name: tool for tool in tools})
    finally:
        landed.close()
        opened.close()
