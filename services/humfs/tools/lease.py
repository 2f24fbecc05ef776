"""`humfs_lease`: ask the other sessions to leave a file or a directory alone for a while."""

from collections.abc import Mapping
from dataclasses import dataclass

from humfs.core import views
from humfs.core.leases import (
    LEASES_OF_ONE_MAX,
    SECONDS_DEFAULT,
    SECONDS_MAX,
    Lease,
    Leases,
    TooMany,
)
from humfs.edge.lease_file import LeaseFile
from humfs.edge.roots import Roots
from humfs.edge.watch import Watch
from humfs.errors import Code, Refusal
from humfs.tools.tool import Call, Result
from thrum.tones import Body

LISTED_MAX = 50
"""Leases named in an answer."""

DESCRIPTION = f"""\
Reserve a file, or a directory with everything below, before a longer change that others should not
get into: until it ends, edit tools refuse it to every other session and name you. It is advice:
shell commands do not ask. Edits of your own need no lease.

- file_path, seconds (default {SECONDS_DEFAULT}, at most {SECONDS_MAX}): take or lengthen a lease
- file_path, release true: give it back early
- nothing: who holds what, and for how long"""

INPUT_SCHEMA: Mapping[str, object] = {
    "type": "object",
    "properties": {
        "file_path": {
            "type": "string",
            "description": "File or directory; relative to the session's directory.",
        },
        "seconds": {"type": "integer", "minimum": 1, "maximum": SECONDS_MAX},
        "release": {"type": "boolean", "description": "Give the lease back."},
    },
}


@dataclass(frozen=True, slots=True)
class _Args:
    path: str
    seconds: int
    release: bool


class LeaseTool:
    """The tool."""

    name = "humfs_lease"
    description = DESCRIPTION
    input_schema = INPUT_SCHEMA

    def __init__(self, roots: Roots, file: LeaseFile) -> None:
        self._roots = roots
        self._file = file

    def run(self, call: Call, watch: Watch) -> Result:
        """See `Tool.run`."""
        args = _args(call.args)
        if not args.path:
            return _listed(self._file.read(), self._file.now_ms())
        if call.sid is None:
            raise Refusal(Code.BAD_ARGS, "A lease needs a conversation (sid) that holds it.")
        path = self._roots.writable(args.path, call.cwd).path
        with self._file.changing() as leases:
            if args.release:
                return _released(leases, call.sid, path, args)
            lease = Lease(path, call.sid, self._file.now_ms() + args.seconds * 1_000)
            try:
                other = leases.taken(lease)
            except TooMany:
                raise Refusal(
                    Code.IO,
                    f"There are too many leases; one session holds at most {LEASES_OF_ONE_MAX}.",
                    hint="Give some back, or lease the directory above.",
                ) from None
        if other is not None:
            raise reserved(args.path, other, self._file.now_ms())
        return Result(
            output=views.clean_name(f"Leased {args.path} for {args.seconds} s"),
            title=args.path,
            metadata=_metadata(lease),
        )


def reserved(asked: str, lease: Lease, now_ms: int) -> Refusal:
    """The refusal of what another session has leased."""
    left = max(1, -(-(lease.dusk_ms - now_ms) // 1_000))
    what = views.clean_name(lease.path)
    return Refusal(
        Code.RESERVED,
        f"{asked} is reserved: session {views.clean_name(lease.holder)} holds a lease on {what} "
        f"that ends in {left} s (dusk {lease.dusk_ms}); nothing was changed.",
        hint="Work on something else, and try again then.",
    )


def _released(leases: Leases, sid: str, path: str, args: _Args) -> Result:
    if not leases.released(sid, path):
        raise Refusal(
            Code.NOT_FOUND,
            f"No lease of yours on {args.path} was found (not found).",
            hint="Call humfs_lease without arguments to see who holds what.",
        )
    metadata: Body = {"path": views.clean_name(path), "released": True}
    return Result(
        output=views.clean_name(f"Released {args.path}"), title=args.path, metadata=metadata
    )


def _listed(leases: Leases, now_ms: int) -> Result:
    rows = [f"[{len(leases.held)} lease(s)]"]
    for one in leases.held[:LISTED_MAX]:
        left = -(-(one.dusk_ms - now_ms) // 1_000)
        rows.append(views.clean_name(f"{one.path}\theld by {one.holder} for {left} s"))
    if len(leases.held) > LISTED_MAX:
        rows.append(f"[{len(leases.held) - LISTED_MAX} more, not shown]")
    metadata: Body = {"leases": [_metadata(one) for one in leases.held[:LISTED_MAX]]}
    return Result(output="\n".join(rows)[: views.OUTPUT_CHARS_MAX], metadata=metadata)


def _metadata(lease: Lease) -> Body:
    path, holder = views.clean_name(lease.path), views.clean_name(lease.holder)
    return {"path": path, "holder": holder, "dusk": lease.dusk_ms}


def _args(args: object) -> _Args:
    if not isinstance(args, Mapping):
        raise _bad("args must be an object with file_path, seconds and release.")
    path, release = args.get("file_path") or "", args.get("release") or False
    seconds = args.get("seconds", SECONDS_DEFAULT)
    if not isinstance(path, str) or not isinstance(release, bool):
        raise _bad("file_path must be a string, release true or false.")
    if isinstance(seconds, bool) or not isinstance(seconds, int):
        raise _bad("seconds must be a whole number.")
    if not 1 <= seconds <= SECONDS_MAX:
        raise _bad(f"seconds must be from 1 to {SECONDS_MAX}.")
    if release and not path:
        raise _bad("file_path is missing: say which lease to give back.")
    return _Args(path, seconds, release)


def _bad(message: str) -> Refusal:
    return Refusal(
        Code.BAD_ARGS, message, hint='Example: {"file_path": "src/app.py", "seconds": 600}'
    )
