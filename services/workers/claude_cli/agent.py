"""From a prompt to a cell: which program, which session, and what to do when one cannot begin."""

import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nest.cells.cell import CellFailed
from nest.cells.limits import Limits
from nest.cells.orders import Order
from nest.cells.pool import CellPool, PoolFull
from nest.private import replace_private
from thrum.errors import Qualifier
from workers.attachments import Attachments
from workers.claude_cli.exchange import Exchange, Patience, ProgramFailed
from workers.claude_cli.sessions import has_session
from workers.core.attachments import Part, marked, splice
from workers.core.claude_wish import (
    Wish,
    arguments,
    content_of,
    environment,
    session_of,
    user_line,
    wish_of,
)
from workers.turns import Turn, TurnFailed

BAD_REQUEST = 400
NOT_SERVED = 501
CALM = Patience()
INSTRUCTIONS = ".instructions"
"""Ending of the files that hold a system prompt until its program has read it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What is started for a conversation, and where."""

    path: str
    environ: Mapping[str, str]
    """Of the worker; the program gets a part of it."""
    projects: Path
    """Where it keeps its sessions."""
    models: tuple[str, ...]
    tools: tuple[str, ...]
    """Tools of its own that the owner lets it use."""
    folder: Path
    """Where it stands when its prompt names no folder that it may use; instructions lie there."""
    roots: tuple[str, ...]
    """Folders that prompts may name."""
    limits: Limits


class ClaudeAgent:
    """Answers prompts with one program for each conversation."""

    def __init__(
        self,
        program: Program,
        pool: CellPool,
        attachments: Attachments,
        patience: Patience = CALM,
    ) -> None:
        self._program = program
        self._pool = pool
        self._attachments = attachments
        self._patience = patience

    async def answer(self, turn: Turn) -> str:
        """Run one turn to its end; see `workers.turns`."""
        program = self._program
        wish = wish_of(
            turn.prompt,
            model=self._model(turn),
            cwd=self._folder(turn.prompt.get("cwd")),
            tools=program.tools,
        )
        try:
            session = session_of(turn.sid, turn.prompt)
        except ValueError as problem:
            raise TurnFailed(
                "resume is no session id, which is a UUID", code=BAD_REQUEST
            ) from problem
        return await self._first(turn, wish, session)

    async def embed(self, turn: Turn) -> str:
        """The program cannot do it."""
        raise TurnFailed("claude makes no embeddings", code=NOT_SERVED)

    def forget(self, sid: str) -> None:
        """End the program of a conversation that is over."""
        self._pool.forget(sid)

    async def _first(self, turn: Turn, wish: Wish, session: str) -> str:
        """The first program that begins answers: one that is there, one that goes on, a new one.

        When what is on disk misleads, the second attempt is the other way.
        """
        is_there = has_session(self._program.projects, session)
        attempts = [is_there, not is_there]
        reasons: list[str] = []
        while attempts:
            try:
                return await self._attempt(turn, wish, session, attempts)
            except ProgramFailed as failed:
                reasons.append(failed.message)
                if failed.has_begun:
                    raise
                last = failed
        raise ProgramFailed("; ".join(reasons), code=last.code or 0, has_begun=False) from last

    async def _attempt(self, turn: Turn, wish: Wish, session: str, attempts: list[bool]) -> str:
        """Ask the program of this sid, started as the next of `attempts` says if there is none."""
        resumes = attempts[0]
        path = self._program.folder / f"{secrets.token_hex(8)}{INSTRUCTIONS}"

        def order() -> Order:
            if wish.system:
                replace_private(path, wish.system.encode())
            system_path = str(path) if wish.system else None
            argv = arguments(wish, session=session, resumes=resumes, system_path=system_path)
            return Order(
                argv=(self._program.path, *argv),
                env=environment(self._program.environ),
                cwd=wish.cwd,
            )

        try:
            async with self._pool.lodged(turn.sid, wish, order, self._program.limits) as lodger:
                is_new = lodger.is_new
                if is_new:
                    del attempts[0]
                line = self._line(turn, is_new=is_new and not resumes)
                exchange = Exchange(lodger, turn, self._patience, self._program.limits)
                return await exchange.run(line)
        except PoolFull as full:
            raise TurnFailed(full.message, qualifier=Qualifier.WORKER_BUSY) from full
        except CellFailed as failure:
            attempts.clear()
            raise ProgramFailed(
                f"claude was not started: {failure.message}", code=502, has_begun=False
            ) from failure
        finally:
            path.unlink(missing_ok=True)

    def _line(self, turn: Turn, *, is_new: bool) -> Sequence[Part]:
        messages, marks = marked(content_of(turn.prompt, is_new=is_new), secrets.token_hex(8))
        return splice(user_line(messages), marks, self._attachments.read)

    def _model(self, turn: Turn) -> str:
        asked = turn.prompt.get("modelId")
        return asked if isinstance(asked, str) and asked else self._program.models[0]

    def _folder(self, asked: object) -> str:
        """The folder of a prompt when it lies in a root, else our own, which is empty."""
        if isinstance(asked, str) and os.path.isabs(asked):
            real = os.path.realpath(asked)
            if os.path.isdir(real) and any(_is_below(real, root) for root in self._program.roots):
                return real
        return str(self._program.folder)


def _is_below(path: str, root: str) -> bool:
    real = os.path.realpath(root)
    return os.path.commonpath((path, real)) == real


def sweep(folder: Path) -> None:
    """Remove the instructions that a killed worker left."""
    for path in folder.glob(f"*{INSTRUCTIONS}"):
        with suppress(FileNotFoundError):
            path.unlink()
