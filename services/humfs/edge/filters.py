"""The filter of system calls, made with libseccomp for the machine this runs on."""

import errno
import os
from contextlib import suppress

from humfs.core.sandbox import calls


class NoFilter(Exception):
    """This machine has no libseccomp; the text says what is missing."""


def call_filter(*, has_network: bool) -> bytes:
    """The program of the filter, as bubblewrap loads it; raises `NoFilter`.

    With a network, sockets of the internet are let through, in a namespace that has a loopback.
    """
    try:
        import pyseccomp as seccomp  # it looks for libseccomp and fails without
    except (ImportError, RuntimeError, OSError) as problem:
        raise NoFilter(f"libseccomp is not there: {problem}") from problem
    made = seccomp.SyscallFilter(seccomp.ALLOW)

    def refuse(name: str, *arguments: object, answer: int = errno.EPERM) -> None:
        with suppress(ValueError, OSError):  # a call that this machine, or the library, lacks
            made.add_rule(seccomp.ERRNO(answer), name, *arguments)

    for name in calls.DENIED.split():
        refuse(name)
    refuse("clone3", answer=errno.ENOSYS)
    for flag in calls.NEW_NAMESPACES:
        refuse("clone", seccomp.Arg(0, seccomp.MASKED_EQ, flag, flag))
    for request in calls.TERMINAL_INPUT:
        refuse("ioctl", seccomp.Arg(1, seccomp.MASKED_EQ, 0xFFFFFFFF, request))
    allowed = {calls.UNIX_FAMILY, *([calls.INTERNET_FAMILY] if has_network else [])}
    families = [seccomp.Arg(0, seccomp.GE, calls.FAMILIES_MAX)]
    families += [
        seccomp.Arg(0, seccomp.EQ, one) for one in range(calls.FAMILIES_MAX) if one not in allowed
    ]
    for name in ("socket", "socketpair"):
        for family in families:
            refuse(name, family, answer=errno.EAFNOSUPPORT)
    for kind in calls.DEVICES:
        for name, at in (("mknod", 1), ("mknodat", 2)):
            refuse(name, seccomp.Arg(at, seccomp.MASKED_EQ, calls.KIND_MASK, kind))
    with os.fdopen(os.memfd_create("filter", os.MFD_CLOEXEC), "w+b") as file:
        made.export_bpf(file)
        file.seek(0)
        return file.read()
