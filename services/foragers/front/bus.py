"""What the front needs of `nest.bee.Bee`, so that a test can stand in for humd."""

from contextlib import AbstractContextManager
from typing import Protocol

from nest.bee import Tones
from thrum.tones import Tone


class Bus(Protocol):
    """A bee's connection. See `nest.bee.Bee` for what each of these promises."""

    @property
    def is_connected(self) -> bool: ...

    @property
    def reset_reason(self) -> str: ...

    @property
    def has_room(self) -> bool: ...

    async def joined(self) -> None: ...

    async def send(self, tone: Tone) -> int: ...

    def post(self, tone: Tone) -> int: ...

    def stream(self, sid: str) -> AbstractContextManager[Tones]: ...
