"""`hum ask`: one prompt through the door, its answer as it arrives.

`Answer` follows the tones of the turn and knows when it is over; the command prints.
"""

import os
import secrets
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import click

from hum.bees import read_bees
from hum.door import Door, open_door
from hum.errors import EXIT_FAILED, AskRefused
from hum.output import data_json, printable, talk
from hum.rendezvous import door_path
from nest.paths import Paths
from thrum.errors import HumError
from thrum.ids import HUMID_RANDOM_BYTES, mint_humid
from thrum.tones import Tone

SILENCE_SECONDS = 600.0
"""How long the answer may pause; a model may think that long, and a turn that was lost is told."""

LOGGED_SECONDS = 15.0
"""How long the first word about the prompt may take: it is said when the log has it. A humd that is
started again needs less."""

PROMPT_BYTES_MAX = 8 * 1024 * 1024
"""Longest prompt read from stdin."""


@dataclass(slots=True)
class Answer:
    """What has arrived of one answer."""

    rid: str
    sid: str
    text: list[str] = field(default_factory=list)
    model: str | None = None
    usage: dict[str, Any] = field(default_factory=dict)
    reason: str | None = None
    """Why it ended; None while it goes on."""

    def take(self, tone: Tone) -> str:
        """Follow one tone; return the text that it adds. Raises `AskRefused` for an error."""
        if tone.chi == "echo" and tone.rid == self.rid and tone.body.get("ok") is False:
            raise AskRefused(f"refused: {tone.text('error') or 'without a reason'}")
        if tone.chi == "error" and self._is_ours(tone):
            raise _refused(tone)
        if tone.sid != self.sid:
            return ""
        self.model = tone.text("model") or tone.text("modelId") or self.model
        if tone.chi == "chunk" and tone.body.get("chunkType") == "text_delta":
            self.text.append(tone.text("delta") or "")
            return self.text[-1]
        if tone.chi == "finish":
            self.reason = tone.text("finishReason") or "end_turn"
            usage = tone.body.get("usage")
            self.usage = usage if isinstance(usage, dict) else {}
        return ""

    def _is_ours(self, tone: Tone) -> bool:
        return tone.sid == self.sid or (tone.sid is None and tone.rid == self.rid)


def _refused(tone: Tone) -> AskRefused:
    said = tone.text("message") or "an error without a message"
    qualifier = tone.text("qualifier") or tone.text("subtype")
    hint = "hum status; hum logs"
    if qualifier == "prompt.no-worker":
        hint = "name a model that a worker has: hum ask --model scout; or add one: hum up --help"
    return AskRefused(f"{said} [{qualifier}]" if qualifier else said, hint=hint)


def prompt_tone(text: str, *, model: str | None, sid: str, rid: str) -> Tone:
    """The tone that asks."""
    body: dict[str, Any] = {"content": text, "cwd": os.getcwd()}
    if model:
        body["modelId"] = model
    return Tone(chi="prompt", rid=rid, sid=sid, body=body)


_ASK_HELP = """Ask a model and print its answer as it arrives. PROMPT - reads it from stdin.

\b
Examples:
  hum ask "say hi"
  git diff | hum ask -
"""


@click.command(help=_ASK_HELP)
@click.argument("prompt")
@click.option("--model", metavar="M", help="The model to ask; else the default one.")
@click.option("--sid", metavar="SID", help="Go on with this conversation.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
def ask(*, prompt: str, model: str | None, sid: str | None, as_json: bool) -> int:
    """Ask a model and print its answer as it arrives. PROMPT - reads it from stdin."""
    text = _asked(_from_stdin() if prompt == "-" else prompt)
    paths = Paths.from_environment(os.environ)
    begun = time.monotonic()
    answer = Answer(rid=_mint(), sid=sid or f"ask-{_mint()}", model=model)
    with open_door(door_path(paths, os.environ)) as door:
        door.send(prompt_tone(text, model=model, sid=answer.sid, rid=answer.rid))
        try:
            follow(door, answer, quiet=as_json)
        except KeyboardInterrupt:
            door.send(_cancel(answer))
            raise
        except HumError:
            if answer.text and not as_json:
                _print("\n")
            raise
    milliseconds = round((time.monotonic() - begun) * 1000)
    worker = worker_of(answer.model, read_bees(paths))
    _report(answer, milliseconds, worker=worker, as_json=as_json)
    return EXIT_FAILED if answer.reason == "error" else 0


def _asked(prompt: str) -> str:
    """The prompt, when there is something to ask. Raises `click.UsageError`."""
    if not prompt.strip():
        raise click.UsageError('the prompt is empty; hum ask "say hi"')
    try:
        prompt.encode()
    except UnicodeEncodeError as problem:
        raise click.UsageError(
            f"the prompt is not UTF-8 at character {problem.start + 1}; send it as UTF-8 text"
        ) from problem
    return prompt


def follow(door: Door, answer: Answer, *, quiet: bool) -> None:
    """Take tones until the answer is over, and print what they add unless `quiet`.

    Raises `DoorSilent` when nothing is heard of the prompt in time, or of its answer.
    """
    is_terminal = sys.stdout.isatty()
    until, is_known = time.monotonic() + LOGGED_SECONDS, False
    while answer.reason is None:
        within = SILENCE_SECONDS if is_known else max(until - time.monotonic(), 0.001)
        tone = door.receive(within_seconds=within)
        is_known = is_known or answer.rid == tone.rid or answer.sid == tone.sid
        added = answer.take(tone)
        if added and not quiet:
            _print(printable(added) if is_terminal else added)


def worker_of(model: str | None, manifests: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The bee that offers `model`, as humd says; None when it is not known."""
    offers = (name for name, bee in manifests.items() if model in (bee.get("models") or ()))
    return next(offers, None) if model else None


def _report(answer: Answer, milliseconds: int, *, worker: str | None, as_json: bool) -> None:
    tokens = {name: answer.usage.get(f"{name}_tokens") for name in ("input", "output")}
    if as_json:
        data_json(
            {
                "text": "".join(answer.text),
                "sid": answer.sid,
                "model": answer.model,
                "worker": worker,
                "finish_reason": answer.reason,
                "usage": answer.usage,
                "ms": milliseconds,
            }
        )
        return
    if answer.text and not answer.text[-1].endswith("\n"):
        _print("\n")
    said = [answer.model, worker]
    said += [f"{tokens['input'] or 0} + {tokens['output'] or 0} tokens"] if answer.usage else []
    said += [] if answer.reason in ("end_turn", "stop") else [f"ended with {answer.reason}"]
    line = ", ".join(part for part in (*said, f"{milliseconds} ms") if part)
    talk(printable(line), dim=True)


def _cancel(answer: Answer) -> Tone:
    return Tone(chi="cancel", rid=_mint(), sid=answer.sid, body={"reason": "client-cancel"})


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _mint() -> str:
    return mint_humid(time.time_ns() // 1_000_000, secrets.token_bytes(HUMID_RANDOM_BYTES))


def _from_stdin() -> str:
    text = sys.stdin.read(PROMPT_BYTES_MAX + 1)
    if len(text) > PROMPT_BYTES_MAX:
        raise AskRefused(f"a prompt of more than {PROMPT_BYTES_MAX} characters", hint="shorten it")
    return text
