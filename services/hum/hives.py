"""Which hives there are: the Orchfiles that introduce services, each with what it starts.

A hive is one Orchfile and has the name of the first service in it. Files that only lay something
over the services of others introduce none and are no hives.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hum.stack import Stack, bundled
from nest.paths import Paths
from orch.core.services import Service, depths
from thrum.errors import LocalError


class NoHive(LocalError):
    """No hive and no service of that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hive:
    """One Orchfile that introduces services."""

    name: str
    file: str
    source: str
    """Where it comes from: `bundled`, `installed` by us, or `own`."""
    services: tuple[Service, ...]

    @property
    def is_on(self) -> bool:
        """Whether a start starts any of it."""
        return any(not service.disabled for service in self.services)


def hives(stack: Stack, paths: Paths) -> tuple[Hive, ...]:
    """Every hive, by name."""
    by_file: dict[str, list[Service]] = {}
    for service in stack.services:
        by_file.setdefault(stack.origins[service.name], []).append(service)
    found = (
        Hive(
            name=services[0].name,
            file=file,
            source=_source(file, services[0].name, paths),
            services=tuple(services),
        )
        for file, services in by_file.items()
    )
    return tuple(sorted(found, key=lambda hive: hive.name))


def _source(file: str, name: str, paths: Paths) -> str:
    if Path(file).parent == bundled() / "orch.d":
        return "bundled"
    return "installed" if paths.hive_record(name).exists() else "own"


def services_of(known: Iterable[Hive], names: Iterable[str]) -> tuple[Service, ...]:
    """The services that `names` mean, a hive's or a service's each, in the order of their needs.

    Raises `NoHive` for one that means nothing.
    """
    every = tuple(known)
    picked: dict[str, Service] = {}
    for name in names:
        found = tuple(_named(every, name))
        if not found:
            there = ", ".join(hive.name for hive in every)
            raise NoHive(f"there is no hive {name!r}; there are: {there}", hint="hum hive list")
        picked |= {service.name: service for service in found}
    order = depths(service for hive in every for service in hive.services)
    return tuple(sorted(picked.values(), key=lambda service: (order[service.name], service.name)))


def hive_named(known: Iterable[Hive], name: str) -> Hive:
    """The hive of this name, or the one that a service of this name belongs to."""
    every = tuple(known)
    for hive in every:
        if name == hive.name:
            return hive
    for hive in every:
        if name in {service.name for service in hive.services}:
            return hive
    there = ", ".join(hive.name for hive in every)
    raise NoHive(f"there is no hive {name!r}; there are: {there}", hint="hum hive list")


def _named(every: tuple[Hive, ...], name: str) -> Iterator[Service]:
    for hive in every:
        if hive.name == name:
            yield from hive.services
            return
    for hive in every:
        yield from (service for service in hive.services if service.name == name)
