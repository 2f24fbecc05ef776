"""Key care: nobody but thehum reads the key; it signs what has a type; the next key takes over."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.support.humd import BEGUN, Humd
from tests.support.stack import CORE, REPOSITORY, Stack

from nest.private import replace_private
from thehum.core.names import segment_name
from thehum.core.statements import FIELD_CHARS_MAX, KINDS
from thrum.chi import Chi
from thrum.frames import Header
from thrum.ids import hid_of
from thrum.keys import verify
from thrum.tones import Body

pytestmark = [pytest.mark.process, pytest.mark.timeout(90)]
IN_OPEN, IN_NONBLOCK = 0x20, os.O_NONBLOCK
HID = "humd_" + "ab" * 32
HASH = "cd" * 32
GOOD: dict[str, dict[str, Any]] = {
    "handshake-v1": {"signed_at": 1_780_000_000_000},
    "handshake-v2": {
        "role": "dialer", "peer": HID, "nonce": HASH, "peer_nonce": HASH,
        "binding": f"tls:{HASH}:{HASH}", "caps": HASH, "peer_caps": HASH,
    },
    "tone-v1": {"chi": "gossip-publish", "to": "topic", "seq": 7, "sent_at": 8, "payload": HASH},
}  # fmt: skip
EVENT = '{"author":"humd_x","body":{},"chi":"key-rotate"}'
BAD: list[dict[str, Any]] = [
    {},
    {"kind": "event", "line": EVENT},
    {"kind": ["tone-v1"]},
    {"kind": "handshake-v1"},
    {"kind": "handshake-v1", "signed_at": EVENT},
    {"kind": "handshake-v1", "signed_at": True},
    {"kind": "handshake-v1", "signed_at": -1},
    {"kind": "handshake-v1", "signed_at": 1, "text": EVENT},
    {"kind": "handshake-v2", **GOOD["handshake-v2"], "binding": "a b"},
    {"kind": "handshake-v2", **GOOD["handshake-v2"], "binding": "a\nhum/x"},
    {"kind": "handshake-v2", **GOOD["handshake-v2"], "binding": "x" * (FIELD_CHARS_MAX + 1)},
    {"kind": "handshake-v2", **GOOD["handshake-v2"], "role": "dialer\n"},
    {"kind": "tone-v1", **GOOD["tone-v1"], "payload": b"x" * 32},
    {"kind": "tone-v1", **GOOD["tone-v1"], "payload": "x" * 1_000_000},
    {"kind": "tone-v1", **GOOD["tone-v1"], "chi": "{"},
    {"kind": "tone-v1", **GOOD["tone-v1"], "to": "\u2028"},
]


@pytest.fixture
def stack() -> Iterator[Stack]:
    with Stack(services=CORE) as stack:
        yield stack


def hum(stack: Stack, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hum", "thehum", *map(str, arguments)],
        env=stack.env,
        capture_output=True,
        text=True,
        check=False,
    )


def told(stack: Stack, *arguments: str | Path) -> dict[str, Any]:
    done = hum(stack, *arguments, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, Any] = orjson.loads(done.stdout)
    return answer


def script(*files: Path) -> subprocess.CompletedProcess[str]:
    name = "verify.py" if len(files) == 1 else "verify_chain.py"
    return subprocess.run(
        [sys.executable, REPOSITORY / "docs" / name, *files],
        capture_output=True,
        text=True,
        check=False,
    )


def down(stack: Stack) -> None:
    for name in reversed(CORE):
        stack.kill(name, signal.SIGTERM)


def says(stack: Stack, count: int, tag: str) -> None:
    with stack.client() as client:
        client.read_until("breath")
        for number in range(count):
            client.send(chi="prompt", rid=f"{tag}-{number}", sid=tag, content="x")
            client.read_until("echo", rid=f"{tag}-{number}")


# --- who reads it


class Opened:
    """Counts how often a file is opened, by inotify."""

    def __init__(self, *paths: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._handle = libc.inotify_init1(IN_NONBLOCK)
        assert self._handle >= 0
        for path in paths:
            assert libc.inotify_add_watch(self._handle, os.fsencode(path), IN_OPEN) >= 0

    def count(self) -> int:
        """How often since the last time we looked."""
        try:
            return len(os.read(self._handle, 64 * 1024)) // 16
        except BlockingIOError:
            return 0
        finally:
            os.set_blocking(self._handle, False)

    def close(self) -> None:
        os.close(self._handle)


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is of Linux")
def test_nobody_but_the_log_opens_the_key(stack: Stack) -> None:
    opened = Opened(stack.paths.humd_key, stack.paths.humd_next_key)

    stack.restart("humd")
    stack.restart("thrumd")
    for name in ("scout", "humfs", "front", "sidecar"):
        stack.start(name)
    stack.wait_ready()
    stack.wait_bee("scout")
    for command in (["status"], ["doctor"], ["up", "--dry-run"], ["thehum", "verify"]):
        subprocess.run([sys.executable, "-m", "hum", *command], env=stack.env,
                       capture_output=True, check=False)  # fmt: skip
    others = opened.count()
    stack.restart("thehum", signal.SIGKILL)
    stack.wait_ready()

    assert others == 0
    assert opened.count() > 0  # so it would have been seen
    opened.close()


# --- what it signs


@pytest.fixture
def humd() -> Iterator[tuple[Stack, Humd]]:
    with Stack(services=("thehum",)) as stack, Humd(stack) as played:
        played.joined()
        yield stack, played


def ask(humd: Humd, chi: str, body: Body) -> Body:
    humd.send(Header(chi, "q", None, "mesh"), body)
    answer = humd.read(chi)
    assert (answer.rid, answer.to, answer.body.pop("answer")) == ("q", "mesh", True)
    return answer.body


@pytest.mark.parametrize("kind", KINDS)
def test_a_typed_statement_is_signed(humd: tuple[Stack, Humd], kind: str) -> None:
    answer = ask(humd[1], Chi.SIGN, {"kind": kind, **GOOD[kind]})

    text, public = answer["statement"], bytes.fromhex(answer["pubkey"])
    author = str(hid_of("humd", public))
    assert text.startswith(f"hum-ensemble-{kind}")
    assert author in text
    assert verify(public, text.encode(), bytes.fromhex(answer["signature"]))
    assert author == humd[1].hello["author"]


def test_everything_else_is_not(humd: tuple[Stack, Humd]) -> None:
    for body in BAD:
        answer = ask(humd[1], Chi.SIGN, body)
        assert answer.keys() == {"qualifier", "message"}, body
        assert answer["qualifier"] == "tone.malformed"


def test_no_statement_begins_like_anything_else_that_the_key_signs() -> None:
    firsts = [kind.context for kind in KINDS.values()]
    others = ['{"author":', "hum/", "cosignature/v1", "hum-key-rotate-v1", "hum-bus-hello-v1"]

    for first in firsts:
        assert not any(first.startswith(one) or one.startswith(first) for one in others)
    assert len({*firsts}) == len(firsts)


@pytest.mark.parametrize(("chi", "is_heard"), [("sign", False), ("rotate-key", True)])
def test_a_person_at_the_door_may_change_the_key_and_have_nothing_signed(
    stack: Stack, chi: str, is_heard: bool
) -> None:
    with stack.client() as client:
        client.read_until("breath")
        client.send(chi=chi, rid="1", kind="handshake-v1", signed_at=1)
        answer = client.read_until(chi if is_heard else "error", rid="1")

    assert is_heard or answer["qualifier"] == "auth.denied"


@pytest.mark.parametrize("chi", ["key-commit", "key-rotate"])
def test_nobody_else_says_which_key_signs(stack: Stack, chi: str) -> None:
    with stack.client() as client:
        client.read_until("breath")
        client.send(chi=chi, rid="1", pubkey="00" * 32, next="00" * 32, sig="00" * 64)
        echo = client.read_until("echo", rid="1")

    assert echo["ok"] is False
    assert told(stack, "verify", "--full")["ok"]


def test_a_change_of_key_that_nobody_asked_for_is_not_written(humd: tuple[Stack, Humd]) -> None:
    body = {"pubkey": "00" * 32, "next": "00" * 32, "sig": "00" * 64}
    humd[1].offer(1, 1, (Header("key-rotate", "1"), body), client=None)

    assert humd[1].refused()["refused"] == "tone.malformed"
    assert humd[1].backfill()["head_seq"] == BEGUN


# --- the next key takes over


@pytest.mark.parametrize("is_up", [True, False], ids=["up", "down"])
def test_after_a_change_everything_still_verifies(
    stack: Stack, tmp_path: Path, is_up: bool
) -> None:
    says(stack, 3, "before")
    author, old = told(stack, "status")["author"], stack.paths.humd_key.read_bytes()
    following = stack.paths.humd_next_key.read_bytes()
    if not is_up:
        down(stack)

    first = told(stack, "rotate-key")
    second = told(stack, "rotate-key")
    if not is_up:
        for name in CORE:
            stack.start(name)
        stack.wait_ready()
    says(stack, 3, "after")
    down(stack)

    verdict = told(stack, "verify", "--full")
    status = told(stack, "status")
    assert verdict["ok"], verdict
    assert (verdict["key"], verdict["key_since_seq"]) == (second["pubkey"], second["seq"])
    assert first["seq"] < second["seq"]
    assert (status["author"], verdict["heads"][0]["reason"]) == (author, None)
    assert following not in (old, stack.paths.humd_key.read_bytes())
    assert not stack.paths.humd_following_key.exists()
    for seq in (1, second["seq"]):
        proof = tmp_path / f"{seq}.json"
        told(stack, "prove", str(seq), "--out", proof)
        checked = told(stack, "check-proof", proof)
        assert (checked["ok"], checked["author"]) == (True, author)
        assert script(proof).returncode == 0, script(proof).stderr
    segment = tmp_path / "segment"
    segment.write_bytes((stack.paths.thehum / segment_name(1)).read_bytes())
    assert script(stack.paths.thehum_author, segment).returncode == 0


def test_a_proof_does_not_hold_without_the_change_of_key(stack: Stack, tmp_path: Path) -> None:
    told(stack, "rotate-key")
    down(stack)
    told(stack, "prove", "2", "--out", tmp_path / "proof")
    fields = orjson.loads((tmp_path / "proof").read_bytes())
    rotate = orjson.loads(fields["keys"][1])
    forged = {
        "none": {**fields, "keys": []},
        "no commitment": {**fields, "keys": fields["keys"][1:]},
        "not signed": {**fields, "keys": [fields["keys"][0], fields["keys"][1].replace(
            rotate["sig"], "00" * 64)]},
        "another next key": {**fields, "keys": [fields["keys"][0], fields["keys"][1].replace(
            rotate["body"]["pubkey"], "11" * 32)]},
        "no array": {**fields, "keys": "x"},
    }  # fmt: skip

    for name, changed in forged.items():
        path = tmp_path / "forged"
        path.write_bytes(orjson.dumps(changed))
        assert hum(stack, "check-proof", path).returncode == 1, name
        assert script(path).returncode != 0, name


def test_a_change_under_load_loses_no_event(stack: Stack) -> None:
    """`reliability A5`."""
    threads = [
        threading.Thread(target=says, args=(stack, 60, f"load-{number}")) for number in range(3)
    ]
    for thread in threads:
        thread.start()
    changed = [told(stack, "rotate-key")["seq"] for _ in range(3)]
    for thread in threads:
        thread.join()
    tail = hum(stack, "tail", "-n", "9999", "--chi", "prompt", "--json").stdout
    lines = [orjson.loads(line) for line in tail.splitlines()]

    assert sorted(line["rid"] for line in lines) == sorted(
        f"load-{thread}-{number}" for thread in range(3) for number in range(60)
    )
    assert told(stack, "verify", "--full")["ok"]
    assert changed == sorted(changed)


def test_without_the_next_key_nothing_is_changed(stack: Stack) -> None:
    away = stack.home / "elsewhere"
    shutil.move(stack.paths.humd_next_key, away)

    refused = hum(stack, "rotate-key")
    stack.restart("thehum")
    stack.wait_ready()
    still_refused = hum(stack, "rotate-key")
    shutil.move(away, stack.paths.humd_next_key)
    done = told(stack, "rotate-key")

    assert refused.returncode == still_refused.returncode == 1
    assert "humd.next.key" in refused.stderr
    assert done["seq"] > 1
    assert told(stack, "verify", "--full")["ok"]


def test_another_key_than_that_of_the_log_does_not_start(stack: Stack) -> None:
    says(stack, 1, "x")
    down(stack)
    stack.paths.humd_key.write_bytes(b"z" * 32)
    stack.start("thehum")

    assert stack.wait_exit("thehum") == 78
    assert "humd.key" in stack.log("thehum")


def test_the_list_of_keys_is_made_anew(stack: Stack) -> None:
    told(stack, "rotate-key")
    for is_gone in (True, False):
        stack.kill("thehum")
        keys = stack.paths.thehum / "keys.ndjson"
        whole = keys.read_bytes()
        keys.unlink()
        if not is_gone:
            replace_private(keys, b"{}\n")
        stack.start("thehum")
        stack.wait_ready()
        says(stack, 1, "x")

        assert keys.read_bytes() == whole
        assert told(stack, "verify", "--full")["ok"]
