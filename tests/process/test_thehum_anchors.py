"""Anchors on a real disk, with a real process that sends and JSON-RPC over HTTP (features C8)."""

import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.unit.thehum.chains import KEY, append, identity

from nest.settings import AnchorSettings
from thehum.core.anchors import EVM_SELECTOR
from thehum.core.keys import KeyChain
from thehum.core.names import ANCHORS
from thehum.edge.anchors import Anchors, EvmAnchor
from thehum.edge.checkpoints import Checkpoints
from thehum.edge.log import Log

pytestmark = pytest.mark.process
CONTRACT = "0x" + "ab" * 20
SENDER = """
import json, sys, urllib.request as web
call = json.load(sys.stdin)
body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_sendTransaction", "params": [call]})
request = web.Request(sys.argv[1], body.encode(), {"Content-Type": "application/json"})
print(json.load(web.urlopen(request, timeout=10))["result"])
"""
"""What a user's own program may look like; this one has the node sign."""


class Node(http.server.ThreadingHTTPServer):
    """What an anchor sees of an Ethereum node. A call is mined at the second look."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.calls: list[dict[str, Any]] = []
        self.looks = 0
        self.status = "0x1"
        self.changes = ""
        self.is_broken = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/rpc"

    def answer(self, method: str, params: list[Any]) -> Any:
        if method == "eth_sendTransaction":
            self.calls.append(params[0])
            return f"0x{len(self.calls):064x}"
        if method == "eth_getTransactionReceipt":
            self.looks += 1
            is_mined = self.looks > 1
            return {"status": self.status, "blockNumber": "0x1"} if is_mined else None
        return {"input": self.calls[int(params[0], 16) - 1]["data"] + self.changes}


class Handler(http.server.BaseHTTPRequestHandler):
    server: Node

    def do_POST(self) -> None:
        asked = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = {"jsonrpc": "2.0", "id": asked["id"]}
        if self.server.is_broken:
            answer["error"] = {"code": -32000, "message": "the node is syncing"}
        else:
            answer["result"] = self.server.answer(asked["method"], asked["params"])
        body = orjson.dumps(answer)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def node() -> Iterator[Node]:
    with Node() as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def root(home: Path) -> Path:
    folder = home / "state" / "hum" / "thehum"
    folder.parent.mkdir(mode=0o700, parents=True)
    return folder


@pytest.fixture
def signed(root: Path) -> Iterator[Checkpoints]:
    """A log of 30 events with a signed root."""
    log = Log(root, identity())
    append(log, 30)
    checkpoints = Checkpoints(log, root, now=0.0)
    checkpoints.finish()
    yield checkpoints
    log.close()


def evm(node: Node, **more: Any) -> AnchorSettings:
    command = (sys.executable, "-c", SENDER, node.url)
    fields = {"rpc_url": node.url, "contract": CONTRACT, "chain_id": 7, "command": command}
    return AnchorSettings(backend="evm", **{**fields, **more})


def anchored(
    root: Path, settings: AnchorSettings, signed: Checkpoints, *, tries: int = 1
) -> Anchors:
    """Tick until so many tries are over."""
    anchors = Anchors(root, settings, keys=KeyChain(KEY.public), cosigned=lambda _: None, now=0.0)
    now = 0.0
    for _ in range(tries):
        anchors.tick(signed.newest, signed.note, now=now)
        backend = anchors._anchor
        if isinstance(backend, EvmAnchor) and backend._child is not None:
            backend._child.wait(30)
            anchors.tick(signed.newest, signed.note, now=now)
        now += 10_000.0
    anchors.close()
    return anchors


def receipts(root: Path) -> list[dict[str, Any]]:
    path = root / ANCHORS
    return [orjson.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def told() -> tuple[int, list[dict[str, Any]]]:
    done = subprocess.run(
        [sys.executable, "-m", "hum", "thehum", "anchors", "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, orjson.loads(done.stdout)


def test_nothing_is_anchored_by_default(root: Path, signed: Checkpoints) -> None:
    anchored(root, AnchorSettings(), signed)

    assert receipts(root) == []
    assert told() == (0, [])


def test_a_file_gets_a_line_and_the_receipt_holds_offline(root: Path, signed: Checkpoints) -> None:
    out = root.with_name("anchors")
    out.write_text("half a line")
    settings = AnchorSettings(backend="file", path=str(out))

    anchors = anchored(root, settings, signed, tries=3)

    half, line = out.read_bytes().splitlines()
    (receipt,) = receipts(root)
    assert half == b"half a line"
    assert orjson.loads(line)["note"] == receipt["note"] == signed.note
    assert out.read_bytes()[int(receipt["ref"]) :] == line + b"\n"
    assert anchors.floor_seq is None
    status, (shown,) = told()
    assert (status, shown["ok"], shown["size"]) == (0, True, 30)


def test_a_file_that_cannot_be_written_is_tried_again(root: Path, signed: Checkpoints) -> None:
    out = root.with_name("missing") / "anchors"
    settings = AnchorSettings(backend="file", path=str(out))

    failed = anchored(root, settings, signed, tries=3)
    assert (failed.failures, failed.floor_seq) == (3, 0)
    out.parent.mkdir()

    assert anchored(root, settings, signed).failures == 0
    assert len(receipts(root)) == 1


def test_a_call_is_sent_and_seen_in_a_block(root: Path, signed: Checkpoints, node: Node) -> None:
    anchored(root, evm(node), signed)

    (receipt,), (call,) = receipts(root), node.calls
    assert (call["to"], call["chainId"], call["data"]) == (CONTRACT, 7, receipt["data"])
    assert call["data"].startswith("0x" + EVM_SELECTOR.hex() + receipt["root"])
    assert receipt["ref"] == f"0x{1:064x}"
    assert told()[1][0]["ok"]
    anchored(root, evm(node), signed)
    assert len(node.calls) == 1, "what is anchored is known after a restart"


@pytest.mark.parametrize(
    ("trouble", "more"),
    [
        ({"status": "0x0"}, {}),
        ({"changes": "00"}, {}),
        ({"is_broken": True}, {}),
        ({}, {"rpc_url": "http://127.0.0.1:1/"}),
        ({}, {"command": ("/nonexistent",)}),
        ({}, {"command": (sys.executable, "-c", "print('no hash')")}),
        ({}, {"command": (sys.executable, "-c", "raise SystemExit('no funds')")}),
    ],
)
def test_a_call_that_did_not_work_leaves_no_receipt_and_is_tried_again(
    root: Path, signed: Checkpoints, node: Node, trouble: dict[str, Any], more: dict[str, Any]
) -> None:
    for name, value in trouble.items():
        setattr(node, name, value)

    anchors = anchored(root, evm(node, **more), signed)

    assert receipts(root) == []
    assert (anchors.failures, anchors.floor_seq) == (1, 0)


def test_a_witness_who_signed_below_the_root_is_an_anchor(root: Path, signed: Checkpoints) -> None:
    seen: list[int] = []
    signers = iter([None, "humd_witness"])

    def cosigned(size: int) -> str | None:
        seen.append(size)
        return next(signers)

    settings = AnchorSettings(backend="witness")
    anchors = Anchors(root, settings, keys=KeyChain(KEY.public), cosigned=cosigned, now=0.0)
    anchors.tick(signed.newest, signed.note, now=0.0)
    waiting = anchors.floor_seq
    anchors.tick(signed.newest, signed.note, now=1.0)

    assert seen == [30, 30]
    assert [waiting, anchors.floor_seq] == [0, None]
    assert receipts(root)[0]["ref"] == "humd_witness"


def test_a_receipt_for_another_history_does_not_hold(root: Path, signed: Checkpoints) -> None:
    settings = AnchorSettings(backend="file", path=str(root.with_name("anchors")))
    anchored(root, settings, signed)
    (receipt,) = receipts(root)
    torn = orjson.dumps({**receipt, "root": "00" * 32}) + b"\nhalf a rec"
    (root / ANCHORS).write_bytes(torn)

    status, shown = told()

    assert status == 1
    assert [one["ok"] for one in shown] == [False]
    anchored(root, settings, signed)
    assert [one["ok"] for one in told()[1]] == [False, True], "the half line was overwritten"


def test_settings_that_lack_something_are_refused(home: Path) -> None:
    config = home / "config" / "hum"
    config.mkdir(mode=0o700, parents=True, exist_ok=True)
    (config / "hum.json").write_text('{"humd": {"thehum": {"anchor": {"backend": "evm"}}}}')

    done = subprocess.run(
        [sys.executable, "-m", "hum", "config", "check"], capture_output=True, text=True,
        check=False,
    )  # fmt: skip

    assert done.returncode == 78
    assert "humd.thehum.anchor.rpcUrl" in done.stdout + done.stderr
