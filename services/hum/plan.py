"""What taking over changed Orchfiles would do. Pure: two sets of files in, a plan out.

supervisord sees a service's section and not its launch spec, so it cannot tell by itself that a
command or a variable changed. Both are compared here, byte for byte: equal files mean that a
service is left alone.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from hum.stack import Stack
from orch.core.programs import PROGRAM_PREFIX

OFF = b"autostart=false"
"""The line of a section whose service supervisord does not start by itself."""


class What(StrEnum):
    """What becomes of one service."""

    ADDED = "added"
    """supervisord does not know it yet; started, unless it is switched off."""
    CHANGED = "changed"
    """Its section differs: stopped, and taken over as if it were new."""
    RESTARTED = "restarted"
    """Only its launch spec differs: stopped, and started with the new one if it ran."""
    REMOVED = "removed"
    """No Orchfile has it any more: stopped and forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One service that is not as its Orchfile says."""

    service: str
    what: What
    write: Mapping[str, bytes]
    """Files that get another content, by name."""
    remove: tuple[str, ...] = ()
    """Files that go."""
    was_off: bool = False
    """Whether supervisord did not start it by itself: if it runs, somebody started it."""
    is_off: bool = False
    """The same from now on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every change, in the order of the services; and what no running supervisord takes over."""

    changes: tuple[Change, ...]
    master: bool = False
    """Whether supervisord's own file differs. That takes effect at the next start only."""


def plan(
    stack: Stack,
    files: Mapping[str, bytes],
    *,
    master: str,
    only: Collection[str] | None = None,
) -> Plan:
    """Compare `stack` with the `files` of the programs that run, and with their `master`.

    With `only`, services of other names are left as they are.
    """
    found = [change for change in _changes(stack, files) if only is None or change.service in only]
    return Plan(changes=tuple(found), master=only is None and master != stack.master)


def _changes(stack: Stack, files: Mapping[str, bytes]) -> Iterator[Change]:
    there = {
        name.removeprefix(PROGRAM_PREFIX).removesuffix(".conf")
        for name in files
        if name.startswith(PROGRAM_PREFIX) and name.endswith(".conf")
    }
    for program in stack.programs:
        name = program.service.name
        section = f"{PROGRAM_PREFIX}{name}.conf"
        write = {
            file: content for file, content in program.files.items() if files.get(file) != content
        }
        if write:
            what = What.ADDED if name not in there else What.RESTARTED
            if what is What.RESTARTED and section in write:
                what = What.CHANGED
            yield Change(
                service=name,
                what=what,
                write=write,
                was_off=OFF in files.get(section, b""),
                is_off=program.service.disabled,
            )
    for name in sorted(there - {program.service.name for program in stack.programs}):
        gone = (f"{PROGRAM_PREFIX}{name}.conf", f"{name}.json", f"{name}.starts")
        yield Change(
            service=name,
            what=What.REMOVED,
            write={},
            remove=tuple(file for file in gone if file in files),
        )
