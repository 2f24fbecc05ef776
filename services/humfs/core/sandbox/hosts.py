"""Which hosts a command may reach, by the list of the owner."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

HTTPS = 443
HEAD_BYTES_MAX = 8 * 1024
"""Longest beginning of a request."""

_NAME = re.compile(r"(\*\.)?[a-z0-9_:.-]+")


class NotAllowed(Exception):
    """The request is refused; the text goes to whoever asked."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a request wants to go."""

    host: str
    port: int
    is_listed_address: bool = False
    """Whether the owner named this very address, so that it may be one of this machine."""


class Hosts:
    """The list: `host`, `*.suffix` for everything below it, each with `:port` or for 443."""

    def __init__(self, listed: Iterable[str]) -> None:
        self._listed = {_split(text.casefold(), HTTPS) for text in listed}

    def asked(self, head: bytes) -> Destination:
        """Where the `CONNECT` request with this head may go; raises `NotAllowed`."""
        line = head.partition(b"\r\n")[0].decode("latin-1").split(" ")
        if len(line) != 3 or not line[2].startswith("HTTP/1."):
            raise NotAllowed("400 Bad Request", "this is no HTTP request")
        if line[0] != "CONNECT":
            raise NotAllowed("405 Method Not Allowed", "only CONNECT is served: use https")
        try:
            host, port = _split(line[1].casefold(), None)
        except ValueError:
            raise NotAllowed("400 Bad Request", "CONNECT wants host:port") from None
        if not self._has(host, port):
            raise NotAllowed(
                "403 Forbidden", f"{host}:{port} is not in fs.shell.hosts; its owner decides"
            )
        return Destination(host, port, is_listed_address=_is_address(host))

    def _has(self, host: str, port: int) -> bool:
        if host.startswith("*"):
            return False
        if (host, port) in self._listed:
            return True
        parts = host.split(".")
        above = (".".join(parts[at:]) for at in range(1, len(parts)))
        return not _is_address(host) and any((f"*.{name}", port) in self._listed for name in above)


def is_public(address: str) -> bool:
    """Whether an address belongs to the internet, and not to this machine or its surroundings."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return bool((mapped or found).is_global) and not (mapped or found).is_multicast


def _split(text: str, port: int | None) -> tuple[str, int]:
    """Host and port of `host:port`; brackets are for addresses of version 6."""
    host, colon, number = text.rpartition(":")
    if not colon or number.endswith("]"):
        if port is None:
            raise ValueError(text)
        host, number = text, str(port)
    host = host.removeprefix("[").removesuffix("]").rstrip(".")
    if (
        not _NAME.fullmatch(host)
        or not number.isascii()
        or not number.isdigit()
        or not 0 < int(number) < 65_536
    ):
        raise ValueError(text)
    return host, int(number)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
