"""`hum reask`: an agent that nobody answered in time is asked to ask again."""

import os
import secrets
import time
from collections.abc import Mapping
from typing import Any

import click

from hum.asks import about, find
from hum.door import Door, open_door
from hum.errors import AskRefused
from hum.output import data, data_json, printable
from hum.rendezvous import door_path
from nest.paths import Paths
from thrum.errors import LocalError, Qualifier
from thrum.ids import HUMID_RANDOM_BYTES, mint_humid
from thrum.tones import Tone

EXPIRED = "expired"
ECHO_SECONDS = 5.0
"""How long the prompt may take to be on disk."""


class NotExpired(LocalError):
    """An ask that waits, or that somebody decided: there is nothing to ask again."""


@click.command
@click.argument("number", metavar="ID", type=int)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def reask(*, number: int, as_json: bool) -> None:
    """Have an agent ask again for what nobody answered in time. ID as hum asks --all shows it.

    A prompt in its conversation tells the agent so. What it asks then is an ask of its own. While
    that prompt waits or runs, the same again changes nothing and shows it.
    """
    paths = Paths.from_environment(os.environ)
    ask = find(paths, number)
    if ask["state"] != EXPIRED:
        hint = f"hum allow {number}" if ask["state"] == "asked" else "hum asks --all"
        raise NotExpired(f"ask {number} is {ask['state']}, and did not expire", hint=hint)
    with open_door(door_path(paths, os.environ)) as door:
        rid, is_new = _prompt(door, ask, model=_model_of(ask["sid"]))
    if as_json:
        data_json({"id": number, "sid": ask["sid"], "rid": rid, "new": is_new})
    elif not is_new:
        data(f"{printable(ask['sid'])} was told before, and has yet to do it: {printable(rid)}")
    else:
        data(f"told {printable(ask['sid'])} to ask again; hum asks shows what it asks")


def again_text(ask: Mapping[str, Any], subject: Mapping[str, Any]) -> str:
    """What the agent is told."""
    what = ask["tool"] or "a tool"
    said = ", ".join(f"{key} {value!r}" for key, value in subject.items())
    return (
        f"You asked for consent to use {what}{f' ({said})' if said else ''}, and nobody answered "
        "in time: nobody refused it. If you still need it, ask for consent again now."
    )


def _prompt(door: Door, ask: Mapping[str, Any], *, model: str | None) -> tuple[str, bool]:
    """Join the conversation as one who drives it and prompt.

    Return the rid of the prompt once it is on disk, and whether it is ours: another may have been
    first.
    """
    rid = mint_humid(time.time_ns() // 1_000_000, secrets.token_bytes(HUMID_RANDOM_BYTES))
    text = again_text(ask, about(ask["id"]))
    body: dict[str, Any] = {"content": text, "reaskOf": ask["askId"]}
    if model is not None:
        body["modelId"] = model
    door.send(Tone(chi="attach", sid=ask["sid"]))
    door.send(Tone(chi="prompt", rid=rid, sid=ask["sid"], body=body))
    refused = _refusal(door, rid)
    if refused is not None and refused.text("qualifier") == Qualifier.PERMIT_REASKED:
        return refused.text("cause") or "", False
    refusal = None if refused is None else refused.text("message")
    if refusal is None:  # what became of it is on disk once a later tone is
        door.send(Tone(chi="detach", rid=f"{rid}-end", sid=ask["sid"]))
        door.echo(f"{rid}-end", within_seconds=ECHO_SECONDS)
        refusal = _refusal_of(ask["sid"], rid)
    if refusal is not None:
        raise AskRefused(f"refused: {refusal}", hint=f"hum hum {ask['sid']}")
    return rid, True


def _refusal(door: Door, rid: str) -> Tone | None:
    """The error with which a prompt was refused; None once it is on disk. Raises `DoorSilent`."""
    until, error, is_refused = time.monotonic() + ECHO_SECONDS, None, False
    while error is None or not is_refused:  # in either order
        tone = door.receive(within_seconds=max(until - time.monotonic(), 0.001))
        if tone.rid != rid:
            continue
        if tone.chi == "echo" and tone.body.get("ok") is True:
            return None
        is_refused = is_refused or tone.chi == "echo"
        error = tone if tone.chi == "error" else error
    return error


def _refusal_of(sid: str, rid: str) -> str | None:
    """Why a prompt that is on disk reached nobody; None when it did."""
    from hum.conversation import read

    _, events = read(sid)
    errors = (said.body for said in events if said.chi == "error")
    said = next((body.get("message") for body in errors if body.get("cause") == rid), None)
    return None if said is None else str(said)


def _model_of(sid: str) -> str | None:
    """The model that the conversation was asked of last."""
    from hum.conversation import read

    found, _ = read(sid)
    return found["models"][-1] if found["models"] else None
