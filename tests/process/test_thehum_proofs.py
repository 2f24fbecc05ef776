"""Proofs from real files: made by the command, checked by it and by the script of one page."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.unit.thehum.chains import AUTHOR, KEY, append, identity

from hum import commands
from hum.__main__ import run as command
from thehum.core.notes import Checkpoint, origin, sign_checkpoint
from thehum.core.pages import lines_of
from thehum.core.proofs import Proof, dump_proof, event_leaf
from thehum.core.tiles import TileNodes
from thehum.edge.checkpoints import Checkpoints
from thehum.edge.log import Log
from thrum.ids import hid_of
from thrum.keys import SigningKey
from thrum.merkle import inclusion

pytestmark = pytest.mark.process
REPOSITORY = Path(__file__).parents[2]
SCRIPT = REPOSITORY / "docs" / "verify.py"
CHAIN_SCRIPT = REPOSITORY / "docs" / "verify_chain.py"
SCRIPT_LINES_MAX = 60
EVENTS = 700
OTHER = SigningKey.from_seed(bytes(32))


@pytest.fixture
def root(home: Path) -> Path:
    """A log of several segments with a checkpoint of all but its last event."""
    root = home / "state" / "hum" / "thehum"
    root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fill(root)
    return root


def fill(root: Path) -> None:
    log = Log(root, identity(), segment_bytes=64 * 1024)
    heads = Checkpoints(log, root, now=0.0)
    for _ in range(EVENTS // 7):
        append(log, 7, note='Grüße, "sig":null,"ts_ms":1}')
    heads.finish()
    append(log, 1)
    log.close()


@pytest.fixture(scope="module")
def good_proof(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A proof of event 300, to tamper with."""
    root = tmp_path_factory.mktemp("logs") / "thehum"
    fill(root)
    lines = [
        line for path in sorted(root.glob("0*.ndjson")) for line in lines_of(path.read_bytes())
    ]
    leaves = [event_leaf(line) for line in lines[:EVENTS]]
    proof = Proof(
        author=AUTHOR,
        public=KEY.public,
        line=lines[299],
        inclusion=inclusion(299, EVENTS, TileNodes(lambda *_: None, 0, leaves)),
        note=(root / "checkpoint").read_text("utf-8"),
    )
    return orjson.dumps(dump_proof(proof, 300))


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "services"), "TZ": "UTC"},
    )


def hum(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run("-c", "from hum.__main__ import main; main()", "thehum", *arguments)


def proof_of(seq: int, path: Path) -> dict[str, Any]:
    done = hum("prove", str(seq), "--out", path)
    assert (done.returncode, done.stdout) == (0, f"{path}\n"), done.stderr
    fields: dict[str, Any] = orjson.loads(path.read_bytes())
    return fields


def check(*arguments: str | Path) -> int:
    """The exit status of `hum thehum check-proof`, run in this process."""
    return command(commands.hum, ["thehum", "check-proof", *map(str, arguments)])


def is_good(path: Path) -> bool:
    """What both checkers say; they agree."""
    script = run(SCRIPT, path)
    assert script.returncode == check(path), script.stderr
    assert (script.stdout == "") is (script.returncode != 0)
    return script.returncode == 0


@pytest.mark.parametrize("seq", [1, 256, 257, EVENTS])
def test_a_proof_needs_nothing_but_itself(root: Path, tmp_path: Path, seq: int) -> None:
    fields = proof_of(seq, tmp_path / "proof.json")
    for each in sorted(root.rglob("*"), reverse=True):
        each.unlink() if each.is_file() else each.rmdir()

    assert is_good(tmp_path / "proof.json")
    assert fields["seq"] == seq
    assert (tmp_path / "proof.json").stat().st_mode & 0o777 == 0o600
    told = orjson.loads(hum("check-proof", tmp_path / "proof.json", "--json").stdout)
    assert told["ok"] is True
    assert (told["author"], told["seq"], told["size"]) == (AUTHOR, seq, EVENTS)
    assert (told["chi"], told["rid"], told["sid"]) == ("chunk", f"r{seq}", "hum-X")


def test_the_command_takes_no_file_to_print_and_one_to_check(root: Path, tmp_path: Path) -> None:
    printed, told = hum("prove", "5"), hum("prove", "5", "--json")

    assert printed.returncode == told.returncode == 0
    assert orjson.loads(printed.stdout) == orjson.loads(told.stdout)
    assert told.stdout.count("\n") == 1
    (tmp_path / "p").write_text(printed.stdout)
    assert is_good(tmp_path / "p")
    assert check(tmp_path / "p", "--author", AUTHOR) == 0
    assert check(tmp_path / "p", "--author", "humd_0") == 1


@pytest.mark.parametrize("spoil", ["lost", "damaged"])
def test_tiles_help_and_are_not_needed(root: Path, tmp_path: Path, spoil: str) -> None:
    before = proof_of(300, tmp_path / "p")
    tile = root / "tiles" / "0"
    if spoil == "lost":
        tile.unlink()
    else:
        tile.write_bytes(bytes(tile.stat().st_size))

    assert proof_of(300, tmp_path / "p") == before
    assert is_good(tmp_path / "p")


def test_a_proof_out_of_compressed_segments_is_the_same(root: Path, tmp_path: Path) -> None:
    before = proof_of(300, tmp_path / "p")
    log = Log(root, identity(), segment_bytes=64 * 1024)
    while log.compress():
        pass
    log.close()
    (root / "tiles" / "0").unlink()

    assert list(root.glob("0*.packed"))
    assert proof_of(300, tmp_path / "p") == before


def test_what_cannot_be_proven_is_said(root: Path, tmp_path: Path) -> None:
    ahead = hum("prove", str(EVENTS + 1))
    assert (ahead.returncode, ahead.stdout) == (1, "")
    assert f"covers events 1 to {EVENTS}" in ahead.stderr
    assert hum("prove", "0").returncode == 2
    assert check(tmp_path / "none") == 2

    (root / "checkpoint").unlink()
    assert "no checkpoint" in hum("prove", "1").stderr

    lie = Checkpoint(origin(AUTHOR), 3, bytes(32))
    (root / "checkpoint").write_text(sign_checkpoint(lie, KEY))
    contradicted = hum("prove", "1")
    assert contradicted.returncode == 1
    assert "do not lead to the root" in contradicted.stderr


def swap(key: str, old: str, new: str) -> Callable[[dict[str, Any]], None]:
    def change(fields: dict[str, Any]) -> None:
        assert old in fields[key]
        fields[key] = fields[key].replace(old, new, 1)

    return change


def forge_all(fields: dict[str, Any]) -> None:
    """Everything by another key, but the author's name."""
    fields["pubkey"] = OTHER.public.hex()
    text = fields["checkpoint"].partition("\n\n")[0].split("\n")
    root = bytes.fromhex(fields["inclusion"][0])
    fields["checkpoint"] = sign_checkpoint(Checkpoint(text[0], EVENTS, root), OTHER)


TAMPERED: dict[str, Callable[[dict[str, Any]], None]] = {
    "content": swap("line", "token 300", "token 301"),
    "time": swap("line", ',"ts_ms":1', ',"ts_ms":2'),
    "no signature segment": swap("line", ',"sig":null,"ts_ms":1700', ',"ts_ms":1700'),
    "size": swap("checkpoint", f"\n{EVENTS}\n", f"\n{EVENTS - 1}\n"),
    "epoch": swap("checkpoint", "/1\n", "/2\n"),
    "note": swap("checkpoint", "\n\n", "\nmore\n\n"),
    "signer": swap("checkpoint", "— hum", "— hun"),
    "author": lambda fields: fields.update(author=str(hid_of("humd", OTHER.public))),
    "key": lambda fields: fields.update(pubkey=OTHER.public.hex()),
    "everything": forge_all,
    "seq": lambda fields: fields.update(seq=301),
    "short": lambda fields: fields["inclusion"].pop(),
    "long": lambda fields: fields["inclusion"].append("00" * 32),
    "order": lambda fields: fields["inclusion"].reverse(),
    "hash": lambda fields: fields["inclusion"].__setitem__(2, "00" * 32),
    "nothing": lambda fields: fields.clear(),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_a_tampered_proof_fails_both_checkers(
    good_proof: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    fields = orjson.loads(good_proof)
    assert '"sig":null,"ts_ms":1700' in fields["line"]

    TAMPERED[what](fields)
    (tmp_path / "p").write_bytes(orjson.dumps(fields))

    assert not is_good(tmp_path / "p")
    capsys.readouterr()
    assert check(tmp_path / "p", "--json") == 1
    assert orjson.loads(capsys.readouterr().out).keys() == {"ok", "reason"}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b'{"kind":"hum.proof/1"}'])
def test_what_is_no_proof_fails(tmp_path: Path, home: Path, content: bytes) -> None:
    (tmp_path / "p").write_bytes(content)

    assert not is_good(tmp_path / "p")


def test_the_script_checks_whole_segments(root: Path, tmp_path: Path) -> None:
    segments = sorted(root.glob("0*.ndjson"))
    author = root / "author.json"
    assert len(segments) > 2

    whole, later = run(CHAIN_SCRIPT, author, *segments), run(CHAIN_SCRIPT, author, *segments[1:])

    told = f"{EVENTS + 1} events are a chain that {AUTHOR} signed\n"
    assert (whole.returncode, whole.stdout) == (0, told)
    assert later.returncode == 0

    for damage in (
        [author, *segments[:1], *segments[2:]],
        [author, *segments[1:], segments[0]],
        [author, *segments, segments[-1]],
    ):
        assert run(CHAIN_SCRIPT, *damage).returncode == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"token 3"', b'"token 4"'),
        (b'"seq":4', b'"seq":5'),
        (b'"sig":"', b'"sig":"0'),
        (b'"rid":"r8"', b'"rid":"r9"'),
        (b"\n", b"\n\n"),
    ],
)
def test_the_script_finds_damage_in_a_segment(root: Path, old: bytes, new: bytes) -> None:
    segment = min(root.glob("0*.ndjson"))
    data = segment.read_bytes()
    assert old in data
    segment.write_bytes(data.replace(old, new, 1))

    assert run(CHAIN_SCRIPT, root / "author.json", segment).returncode == 1


def test_the_script_finds_events_that_no_signature_covers(root: Path) -> None:
    segment = min(root.glob("0*.ndjson"))
    segment.write_bytes(b"".join(segment.read_bytes().splitlines(keepends=True)[:10]))

    done = run(CHAIN_SCRIPT, root / "author.json", segment)

    assert (done.returncode, done.stderr) == (
        1,
        "NOT PROVEN: no signature covers the last events\n",
    )


@pytest.mark.parametrize("script", [SCRIPT, CHAIN_SCRIPT], ids=lambda path: path.name)
def test_a_script_is_one_page_and_knows_nothing_of_hum(script: Path) -> None:
    text = script.read_text("utf-8")

    assert len(text.splitlines()) <= SCRIPT_LINES_MAX
    imported = {line.split()[1].partition(".")[0] for line in text.splitlines() if "import" in line}
    assert imported - {"nacl"} <= set(sys.stdlib_module_names)
