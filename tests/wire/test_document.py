"""The wire's document and the code say the same; the document wins."""

import ast
import hashlib
import re
from pathlib import Path

import orjson
import pytest

from nest.link import UNSETTLED_PARCELS_MAX
from thrum import ids
from thrum.chi import (
    ANSWER,
    DRIVER,
    LOGGED,
    OUTPUT,
    TERMINAL,
    THRUM_VERSION,
    WORK,
    Chi,
    LinkChi,
    PulseKind,
)
from thrum.errors import Qualifier
from thrum.frames import Header, header_of, pack, read_frame, read_tone
from thrum.ids import HumId
from thrum.keys import SigningKey
from thrum.lines import DEPTH_MAX, MARKS_MAX, read_line, write_line
from thrumd.core import inbound, outbox, receipts
from thrumd.core.outbound import LINE_BYTES_SOFT_MAX
from thrumd.edge import accept, connection, door

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "wire.md").read_text()
REGISTRY = orjson.loads((ROOT / "services" / "thrum" / "registry.json").read_bytes())
EXAMPLES = [
    line
    for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]
CLASSES = {
    "logged": LOGGED,
    "work": WORK,
    "driver": DRIVER,
    "output": OUTPUT,
    "terminal": TERMINAL,
    "answer": ANSWER,
}


def section(number: str) -> str:
    """The text of a section, up to the next heading of any level."""
    found = re.search(
        rf"^#+ {re.escape(number)}\.? .*?\n(.*?)(?=^#|\Z)", PAGE, re.DOTALL | re.MULTILINE
    )
    assert found, f"no section {number}"
    return found[1]


def rows(number: str) -> list[list[str]]:
    """The rows of the tables of a section, backquotes removed, without heads."""
    table = [line for line in section(number).splitlines() if line.startswith("|")]
    cells = [[cell.strip().strip("`") for cell in line.strip("|").split(" | ")] for line in table]
    heads = {at - 1 for at, row in enumerate(table) if set(row) <= set("|-")}
    return [row for at, row in enumerate(cells) if at not in heads and set(table[at]) - set("|-")]


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_read_and_written_back_to_the_same_bytes(example: str) -> None:
    tone = read_line(example.encode())

    assert tone is not None
    assert tone.chi in set(Chi)
    assert write_line(tone) == example.encode() + b"\n"


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_survives_the_bus(example: str) -> None:
    tone = read_line(example.encode())
    assert tone is not None

    (parcel,) = read_frame(pack(header_of(tone), tone.body))

    assert read_tone(parcel) == tone


def test_the_page_has_examples_and_the_version_of_the_code() -> None:
    assert len(EXAMPLES) >= 7
    assert f"Version {THRUM_VERSION} of thrum" in PAGE
    assert REGISTRY["version"] == THRUM_VERSION


def test_the_header_has_the_slots_of_the_page() -> None:
    slots = [row[1] for row in rows("1")]

    assert [slot.replace("from", "sender") for slot in slots] == list(Header._fields)


def test_every_chi_is_documented_as_in_the_registry() -> None:
    documented = [row[:4] for row in rows("5")]

    assert documented == [
        [entry["chi"], entry["direction"], entry["meaning"], ", ".join(entry["classes"]) or "–"]
        for entry in REGISTRY["chi"]
    ]
    assert [row[0] for row in documented] == list(Chi)


def test_the_page_names_every_field_of_the_registry() -> None:
    cells = {row[0]: row[4] for row in rows("5")}
    cells["hello"] += section("2.2")
    cells["chunk"] += section("5.1")
    cells["error"] += section("4")

    unnamed = [
        f"{entry['chi']}.{field}"
        for entry in REGISTRY["chi"]
        for field in {**entry["fields"], **dict.fromkeys(entry["needs"])}
        if field not in re.findall(r"\w+", cells[entry["chi"]])
    ]

    assert unnamed == []


def test_the_envelope_of_the_registry_is_the_one_of_the_page() -> None:
    slots = [row[1] for row in rows("1") if row[0].isdigit()]
    in_the_body = ("sigil", "sentAt", "ext")

    envelope = [slot for slot in slots if slot not in ("seq", "client", "fan")]
    assert sorted(REGISTRY["envelope"]) == sorted([*envelope, *in_the_body])
    assert all(f"`{key}`" in section("1") for key in in_the_body)
    assert f"({REGISTRY['line_bytes_max'] // 2**20} MiB)" in section("2.1")


def test_the_classes_of_the_page_are_those_of_the_code() -> None:
    for name, members in CLASSES.items():
        assert {row[0] for row in rows("5") if name in row[3].split(", ")} == members


def test_every_link_chi_and_pulse_kind_is_documented() -> None:
    assert {row[0] for row in rows("1.2")} == set(LinkChi)
    assert re.findall(r"`([a-z-]+)`", section("5.2")) == list(PulseKind)


def test_every_qualifier_is_documented() -> None:
    assert [row[0] for row in rows("4")] == list(Qualifier)


def test_rids_and_sigils_are_those_of_the_page() -> None:
    found = rows("3.1")
    rids = [row for row in found if row[0].isdigit()]
    sigils = [row for row in found if not row[0].isdigit()]

    assert [ids.rid(int(ms), int(counter)) for ms, counter, _ in rids] == [row[2] for row in rids]
    assert [ids.sigil(sid, nest) for sid, nest, _ in sigils] == [row[2] for row in sigils]


def test_humids_and_hids_are_those_of_the_page() -> None:
    assert [row[1] for row in rows("3.2")] == [
        ids.humid_from_bytes(b"\xff" * 32),
        ids.mint_humid(1700000000000, bytes(26)),
        ids.humid_from_foreign("hum-X"),
    ]
    assert ids.humid_from_foreign("x") == ids.humid_from_bytes(hashlib.sha256(b"x").digest())
    assert f"`{ids.CROCKFORD}`" in section("3.2")
    assert str(ids.NS_CLAUDE_SESSION) in section("3.2")
    assert ids.parse_humid(HumId(rows("3.2")[2][1]))
    assert [row[1] for row in rows("3.3")] == [
        str(ids.hid_of("humd", SigningKey.from_seed(seed).public))
        for seed in (bytes(32), bytes(range(32)))
    ]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("2.1", f"at most {DEPTH_MAX} levels"),
        ("2.1", f"at most {MARKS_MAX:,} commas and brackets"),
        ("2.1", f"at most {inbound.NAME_CHARS_MAX:,} characters"),
        ("2.1", f"complete {connection.LINE_SECONDS_MAX:.0f} s after"),
        ("2.1", f"below {(LINE_BYTES_SOFT_MAX + 1) // 1024} KiB"),
        ("2.3", f"{UNSETTLED_PARCELS_MAX:,} tones or {receipts.BYTES_MAX // 2**20} MiB"),
        ("2.3", f"for {connection.HALF_CLOSED_SECONDS_MAX:.0f} s"),
        ("2.3", f"{accept.ACCEPTS_PER_SECOND:.0f} per second"),
        ("2.3", f"burst of {accept.ACCEPTS_BURST:.0f}"),
        ("2.3", f"{door.CLIENTS_MAX:,} are served"),
        ("2.4", f"{outbox.LINES_MAX:,} lines or {outbox.BYTES_MAX // 2**20} MiB"),
        ("2.4", f"for {outbox.FULL_SECONDS_MAX:.0f} s"),
    ],
)
def test_a_bound_of_the_door_is_the_documented_one(number: str, text: str) -> None:
    assert text in " ".join(section(number).split())


def test_the_hard_bound_of_a_slow_reader_is_the_documented_one() -> None:
    assert outbox.HARD_FACTOR == 4
    assert "four times as much" in " ".join(section("2.4").split())


def test_every_promise_of_conformance_names_a_test_that_exists() -> None:
    lines = [line for line in section("2.6").splitlines() if line.startswith("| ")]
    promised = {line: re.findall(r"`(test_\w+\.py)::(test_\w+)`", line) for line in lines}
    rules = {line: named for line, named in promised.items() if "shown by" not in line}

    defined = {
        (path.name, node.name)
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert [line for line, named in rules.items() if not named] == []
    assert {name for named in rules.values() for name in named} - defined == set()
    assert [line.split("|")[1].strip() for line in list(rules)[:10]] == [
        str(number) for number in range(1, 11)
    ]
