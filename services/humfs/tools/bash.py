"""`humfs_bash`: a command in the sandbox."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from humfs.core import paths
from humfs.core.shell.args import BashArgs, bash_args
from humfs.edge.roots import Place, Roots
from humfs.errors import Code, Refusal
from humfs.tools.tool import Call, Result, Say, refused
from thrum.tones import Body

if TYPE_CHECKING:
    from humfs.core.sandbox.changes import Since
    from humfs.core.sandbox.layers import Level, Standing
    from humfs.edge.commands import Command, Commands
    from humfs.edge.sandbox import Sandbox

DESCRIPTION = """\
Run a command in bash: version control, builds, tests, package managers, language tools. It runs in
a sandbox that sees the roots and the system's programs, without a network; git hooks, git
configuration, start-up files of shells and settings of editors and agents are read-only there.

Looking at files is humfs_read (not ls, cat, grep, find, sed -n); changing them is humfs_do_code and
humfs_do_noncode (not redirections, tee, sed -i, cp, mv, rm). Such commands are refused with the
call to use. A filter behind a program's output runs: npm test | tail -5. git mv and git rm run.

Of each stream the first 10,000 and the last 20,000 bytes are returned. A command that takes longer
than timeout is ended with everything it started. What goes on in the background when the shell has
ended does not hold the answer; it ends with humfs, or after an hour. The routing is for
convenience: it is the sandbox that keeps a command in."""

INPUT_SCHEMA: Mapping[str, object] = {
    "type": "object",
    "properties": {
        "command": {"type": "string", "description": "What bash runs."},
        "description": {"type": "string", "description": "What it is for, in a few words."},
        "timeout": {
            "type": "number",
            "description": "Milliseconds it may take, 1 to 600000; 120000 when left out.",
        },
    },
    "required": ["command"],
}

BASH = "/bin/bash"


class Bash:
    """The tool."""

    name = "humfs_bash"
    description = DESCRIPTION
    input_schema = INPUT_SCHEMA

    def __init__(
        self, roots: Roots, sandbox: "Sandbox", commands: "Commands", required: "Level"
    ) -> None:
        """`required` is the level below which nothing runs."""
        self._roots = roots
        self._sandbox = sandbox
        self._commands = commands
        self._required = required

    async def follow(self, call: Call, say: Say) -> Result:
        """See `LongTool.follow`."""
        standing = await self._sandbox.standing()
        try:
            result = await self._follow(call, say, standing)
        except Refusal as refusal:
            result = refused(refusal)
        return replace(result, metadata={**result.metadata, **_told(standing)})

    async def _follow(self, call: Call, say: Say, standing: "Standing") -> Result:
        from humfs.edge.commands import Command
        from nest.cells.cell import CellFailed

        args = bash_args(call.args)
        place = self._place(call.cwd)
        if (routed := _routed(args)) is not None:
            return routed
        if not standing.suffices(self._required):
            raise _too_weak(standing, self._required)
        command = Command(
            argv=(BASH, "-lc", args.command),
            cwd=place.path,
            timeout_seconds=args.timeout_ms / 1_000,
            standing=standing,
            hear=say,
        )
        try:
            await self._commands.run(command)
        except (CellFailed, OSError) as failure:
            raise Refusal(Code.IO, f"The command did not start: {failure}") from failure
        return _answer(args, command)

    def _place(self, cwd: str | None) -> Place:
        """Where a command runs: the call's `cwd`, else the first root that may be written."""
        asked = paths.start_directory(cwd, home=self._roots.home)
        if asked is None:
            writable = (root.path for root in self._roots.roots if root.mode == "rw")
            asked = next(writable, None) or next((root.path for root in self._roots.roots), "/")
        with self._roots.open(asked) as opened:
            if not opened.is_directory:
                raise Refusal(Code.BAD_ARGS, f"cwd {asked} is no directory.")
            place = opened.place
        if place.root.mode == "ro":
            raise Refusal(
                Code.READ_ONLY,
                f"No command runs in {asked}: its root {place.root.path} is ro in fs.roots.",
                hint="Run it in a root that is rw.",
            )
        return place


def _routed(args: BashArgs) -> Result | None:
    """The refusal of a command that another tool serves better."""
    from humfs.core.shell import advice
    from humfs.core.shell.routing import routed

    found = routed(args.command)
    if found is None:
        return None
    refusal = Refusal(Code.ROUTED, advice.message(found), hint=advice.hint(found))
    result = refused(refusal, title=args.title)
    more: Body = {"banned": found.banned, "command": args.command}
    return replace(result, metadata={**result.metadata, **more})


def _answer(args: BashArgs, command: "Command") -> Result:
    from humfs.core.shell.output import told

    first = [f"Note: {note}." for note in args.notes]
    last = []
    if command.has_timed_out:
        first.insert(
            0, f"Timed out after {args.timeout_ms} ms: the command and all it started were ended."
        )
    if command.was_ended:
        last.append("(the sandbox was ended from outside: too much memory)")
    if command.lingers:
        last.append("(a child of the command is still running in the background)")
    last += _protected(command.since, "this command")
    last += _protected(command.earlier, "an earlier command in the background")
    out, err = command.out, command.err
    output = told(out, err, exit_status=command.exit_status, first=first, last=last)
    metadata: Body = {
        "exit": command.exit_status,
        "description": args.description,
        "interrupted": command.has_timed_out or command.was_ended or _was_ended(command.since),
        "stdoutBytes": out.bytes_total,
        "stderrBytes": err.bytes_total,
        "truncated": bool(out.left_out or err.left_out),
        "cwd": command.cwd,
        "durationMs": round(command.seconds * 1_000),
    }
    every = command.since | command.earlier
    for name, names in (
        ("protectedReplaced", every.replaced),
        ("protectedRemoved", every.removed),
        ("protectedMade", every.made),
    ):
        if names:
            metadata[name] = list(names)
    if args.ignored:
        metadata["ignoredArgs"] = list(args.ignored)
    return Result(output=output, title=args.title, metadata=metadata)


def _was_ended(since: "Since") -> bool:
    return bool(since.replaced or since.removed)


def _protected(since: "Since", whose: str) -> list[str]:
    """What an answer says of protected names that changed while a command ran."""
    told = []
    if since.replaced:
        told.append(
            f"(while {whose} ran, others replaced, removed or renamed what is protected from it: "
            f"{', '.join(since.replaced)}. A command is ended then, and may yet have written what "
            "stands there now. Tell the user, who should look at it before anything uses it)"
        )
    if since.removed:
        told.append(
            f"(while {whose} ran, {', '.join(since.removed)} was made, by which git would take its "
            "configuration from elsewhere. A command is ended for that, and the file was removed)"
        )
    if since.made:
        told.append(
            f"(names that other programs run or trust are new since {whose} began, look at them "
            f"before you use them: {', '.join(since.made)})"
        )
    return told


def _told(standing: "Standing") -> Body:
    """The sandbox, as each result tells it."""
    told: Body = {"sandbox": str(standing.level)}
    if standing.missing:
        told["sandboxMissing"] = sorted(map(str, standing.missing))
    return told


def _too_weak(standing: "Standing", required: "Level") -> Refusal:
    why = "; ".join(f"{layer}: {reason}" for layer, reason in sorted(standing.missing.items()))
    return Refusal(
        Code.SANDBOX,
        f"No command runs here: the sandbox is {standing.level}, and {required} is required "
        f"({why}).",
        hint="The owner of this machine can mend that (on Debian: apt install bubblewrap), or set "
        "fs.shell.requires in hum.json",
    )
