"""The Python client against the shared vectors, and as a bee; see tests/wire/test_clients.py.

python conformance.py vectors FILE FOLDER   -> {"passed": {group: count}, "failed": [text]}
python conformance.py turn SOCKET           -> {"text": ..., "finish": {...}}
python conformance.py reconnect SOCKET HID  -> the tones heard, one a line
"""

import asyncio
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import thrum_client as thrum
from thrum_client import Chi, ThrumClient

Vector = dict[str, Any]


def wane(each: Vector, _: Path) -> bool:
    tracker = thrum.WaneTracker()
    holds = True
    for verb, *args in each["does"]:
        if verb == "set":
            tracker.set(*args)
        else:
            holds &= getattr(tracker, verb)(*args[:-1]) == args[-1]
    return holds


def lines(each: Vector, _: Path) -> bool:
    reader = thrum.LineReader(64)
    heard = [tone for piece in each["pieces"] for tone in reader.feed(piece.encode("latin-1"))]
    return bool(heard == each["tones"] and reader.skipped == each["skipped"])


def socket(each: Vector, folder: Path) -> bool:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "state/hum").mkdir(parents=True)
    env = {"HOME": f"{folder}/home", "XDG_STATE_HOME": f"{folder}/state", **each["env"]}
    if each["runtime"] is not None:
        (folder / "state/hum/runtime.json").write_text(json.dumps(each["runtime"]))
    wanted = each["is"].replace("$STATE", f"{folder}/state").replace("$HOME", f"{folder}/home")
    return bool(thrum.default_socket_path(env) == wanted)


CHECKS: dict[str, Callable[[Vector, Path], bool]] = {
    "sigil": lambda v, _: thrum.sigil(v["sid"], v["nest"]) == v["is"],
    "rid": lambda v, _: thrum.rid_of(v["ms"], v["counter"]) == v["is"],
    "dusk": lambda v, _: (
        thrum.is_dusk(v["tone"], v["now"]) is v["is"] and thrum.dusk_in(5, v["now"]) == v["now"] + 5
    ),
    "wane": wane,
    "chi": lambda v, _: thrum.is_valid_chi(v["chi"]) is v["is"],
    "envelope": lambda v, _: (
        thrum.is_envelope(v["tone"]) is v["is"] and thrum.is_known_tone(v["tone"]) is v["known"]
    ),
    "problems": lambda v, _: thrum.problems(v["tone"]) == v["are"],
    "lines": lines,
    "socket": socket,
}


def vectors(file: str, folder: str) -> None:
    groups = json.JSONDecoder().decode(Path(file).read_text())
    wrong = [
        (name, each)
        for name, group in groups.items()
        for each in group
        if not CHECKS[name](each, Path(folder))
    ]
    failed = [f"{name} {each}" for name, each in wrong]
    missed = [name for name, _ in wrong]
    passed = {name: len(group) - missed.count(name) for name, group in groups.items()}
    say({"passed": passed, "failed": failed})


async def turn(path: str) -> None:
    about = {"rid": "hello", "hive": "python", "bee": ["worker"], "models": ["python"]}
    worker = ThrumClient(path, hello=about, reconnect=False)
    asker = ThrumClient(path, reconnect=False)
    registered, over = asyncio.Event(), asyncio.Event()
    heard: list[thrum.Tone] = []

    async def answer(tone: thrum.Tone) -> None:
        if tone["chi"] == Chi.ECHO:
            registered.set()
        elif tone["chi"] == Chi.PROMPT:
            say_on = {"chi": Chi.CHUNK, "sid": tone["sid"], "chunkType": "text_delta"}
            for char in tone["content"]:
                await worker.send({**say_on, "delta": char})
            await worker.send({"chi": Chi.FINISH, "sid": tone["sid"], "finishReason": "end_turn"})

    def hear(tone: thrum.Tone) -> None:
        heard.append(tone)
        if tone["chi"] in thrum.TERMINAL:
            over.set()

    worker.on_any(answer)
    asker.on("turn-python", hear)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(worker.run_forever())  # allowed: the group owns it
        await registered.wait()
        await asker.connect()
        tasks.create_task(asker.run_forever())  # allowed: the group owns it
        ask = {"chi": Chi.PROMPT, "rid": thrum.rid(), "sid": "turn-python", "modelId": "python"}
        await asker.send({**ask, "content": "Grüße ☕"})
        await over.wait()
        await worker.close()
        await asker.close()
    text = "".join(tone["delta"] for tone in heard if tone["chi"] == Chi.CHUNK)
    say({"text": text, "finish": heard[-1]})


async def reconnect(path: str, hid: str) -> None:
    bee = ThrumClient(path, hello={"rid": "h", "hive": "python", "hid": hid})

    async def hear(tone: thrum.Tone) -> None:
        say(tone)
        if tone["chi"] == Chi.FINISH:
            await bee.close()
        if tone["chi"] == Chi.BREATH:
            raise ValueError("a handler that fails ends nothing")

    bee.on_any(hear)
    await bee.send({"chi": Chi.PROMPT, "rid": "kept", "sid": "s"})
    try:
        await bee.send({"chi": Chi.PROMPT, "sid": "s"})
    except ConnectionError:
        say({"chi": "refused"})
    await bee.run_forever()
    say({"chi": "over", "unsettled": bee.unsettled})


def say(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    what, *args = sys.argv[1:]
    if what == "vectors":
        vectors(*args)
    elif what == "turn":
        asyncio.run(turn(*args))
    else:
        asyncio.run(reconnect(*args))
