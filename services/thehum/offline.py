"""`python -m thehum.offline VERB`: what an owner has done to the log while its daemon is away.

It is the writer for as long as it runs, so it takes the writer's lock, and is refused (exit 78)
when the daemon has it. The order comes as one JSON object on stdin, the answer goes to stdout as
another. What it appends is said by this humd, in a batch of its own named `offline.<seq>`.

| verb | order | answer |
|---|---|---|
| `forget` | `sid`, `by`, `reason` | `order`, `bodies`, `bytes`, `whole` |
| `rotate-key` | | `seq`, `pubkey` |
| `repair` | `by`, `every` | `gaps`, `kept`, `segments`, `head_seq` |
| `restore` | `by`, `reason` | `epoch`, `old`, `kept_seq`, `seq`, `kept` |
"""

import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from nest import logs
from nest.paths import Paths
from nest.settings import load
from thehum import mends
from thehum.core.bodies import VIA, draft
from thehum.core.forgetting import Order, report_of
from thehum.core.groups import Signing
from thehum.core.offers import BatchName
from thehum.edge.forgetting import Forgetting
from thehum.edge.keys import Keyring
from thehum.edge.log import Log
from thehum.edge.remembered import HeadFile
from thehum.errors import LogReadOnly
from thrum.canonical import dumps
from thrum.chi import Chi
from thrum.errors import HumError, LocalError, SettingsRefused
from thrum.ids import HUMID_RANDOM_BYTES, mint_humid
from thrum.tones import Body

UMASK = 0o077
ORDER_BYTES_MAX = 64 * 1024
EXIT_FAILED, EXIT_SETTINGS = 1, 78
EPOCH = "offline"


def open_log(paths: Paths, *, is_restored: bool = False) -> tuple[Log, Keyring]:
    """The log, with this process as its writer, and its keys.

    Raises `SettingsRefused`, `LogReadOnly`.
    """
    if not paths.thehum_author.exists():
        raise LocalError(f"there is no log in {paths.thehum}", hint="hum up")
    settings = load(paths, os.environ).humd.thehum
    keyring = Keyring(paths)
    opened = Log(
        paths.thehum,
        keyring.identity,
        later=keyring.chain.events,
        head_file=HeadFile(paths.thehum_head),
        is_restored=is_restored,
        signing=Signing(settings.signing),
        segment_bytes=settings.segment_bytes,
        segment_events=settings.segment_events,
    )
    if opened.trouble is not None:
        trouble = opened.trouble
        opened.close()
        raise LogReadOnly(trouble.reason, hint=trouble.kind.hint)
    keyring.settle(opened)
    return opened, keyring


def append(opened: Log, chi: str, sid: str | None, body: Body) -> int:
    """Append one event of our own; its seq, once it is on disk."""
    now_ms = time.time_ns() // 1_000_000
    seq = opened.head.seq + 1
    batch = BatchName(EPOCH, seq)
    via = {"batch": str(batch), "client": None, "peer": None}
    rid = mint_humid(now_ms, os.urandom(HUMID_RANDOM_BYTES))
    builder = opened.builder()
    builder.add([draft(chi=chi, rid=rid, sid=sid, body=dumps({**body, VIA: via}))], now_ms)
    opened.append(builder.seal(), batch)
    return seq


def forget(paths: Paths, order: Mapping[str, Any]) -> Body:
    """Append the order, erase, append what came of it."""
    sid, said = order["sid"], {key: order[key] for key in ("by", "reason") if order.get(key)}
    opened, _ = open_log(paths)
    try:
        forgetting = Forgetting(opened, paths.thehum)
        asked = Order(opened.head.seq + 1, sid)
        forgetting.note([asked])
        append(opened, Chi.FORGET, sid, said)
        forgetting.ordered([asked])
        while forgetting.has_work:
            forgetting.advance()
        answer: Body = {}
        for one, done in forgetting.unreported:
            report = report_of(one, done)
            append(opened, Chi.FORGOTTEN, one.sid, report)
            forgetting.reported(one)
            answer = report if one == asked else answer
        return answer
    finally:
        opened.close()


def rotate(paths: Paths, _: Mapping[str, Any]) -> Body:
    """Have the next key take over."""
    opened, keyring = open_log(paths)
    try:
        return {"seq": keyring.rotate(opened), "pubkey": opened.keys.public.hex()}
    finally:
        opened.close()


VERBS: Mapping[str, Callable[[Paths, Mapping[str, Any]], Body]] = {
    "forget": forget,
    "rotate-key": rotate,
    "repair": lambda paths, order: mends.repair(paths, order, open_log, append),
    "restore": lambda paths, order: mends.restore(paths, order, open_log, append),
}


def main() -> int:
    """Do what stdin asks for; the exit status."""
    os.umask(UMASK)
    logs.setup("thehum", "error")
    try:
        order = orjson.loads(sys.stdin.buffer.read(ORDER_BYTES_MAX))
        answer = VERBS[sys.argv[1]](Paths.from_environment(os.environ), order)
    except HumError as problem:
        sys.stderr.write(f"{problem}\n")
        return EXIT_SETTINGS if isinstance(problem, SettingsRefused) else EXIT_FAILED
    sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
