"""Hostile lines at the door (reliability I1): no crash, no hang, bounded memory.

The negative control shows that the corpus bites: a lenient reader fails on it.
"""

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import psutil
import pytest
from tests.support.stack import Stack

from thrum.errors import MalformedTone
from thrum.lines import read_line, write_line
from thrumd.core.inbound import decide
from thrumd.core.splitter import Splitter

PURE_LINES = 200_000
SOCKET_LINES = 20_000
HANG_SECONDS = 1.0
RSS_BYTES_MAX = 256 * 1024 * 1024
SEED = 20_260_101

SEEDS = (
    b'{"chi":"hello","rid":"r","bee":["worker"],"hive":"x","models":["m"],"dusk":99}',
    b'{"chi":"prompt","sid":"s","content":"\\u00e9\\ud83d\\ude00","n":[1,2.5e-3,null,true]}',
    b'{"chi":"chunk","part":{"type":"text","text":"\\"}]"},"ext":{"a":{"b":{}}}}',
    b'{"chi":"echo","ok":false}',
    b"[]",
)
EVIL = (
    b'{"chi":"x","a":NaN}',
    b'{"chi":"x","a":1e999}',
    b'{"chi":"x","a":"\\ud800"}',
    b'{"chi":"x","a":"\xed\xa0\x80"}',
    b'{"chi":"\x00"}',
    b'{"chi":"x","rid":{"a":1},"sid":[],"from":7,"to":false,"dusk":1e3,"wane":"9"}',
    b'{"chi":"x","dusk":-9223372036854775808,"wane":18446744073709551615}',
    b'{"chi":"x","chi":"y","__proto__":{},"constructor":1}',
    b'{"chi":"x","a":' + b"9" * 5_000 + b"}",
    b'{"chi":"x","a":0.' + b"0" * 5_000 + b"1}",
    b'{"chi":"x","a":' + b"[" * 1_000 + b"]" * 1_000 + b"}",
    b'{"chi":"x","a":' + b'{"a":' * 1_000 + b"1" + b"}" * 1_000 + b"}",
    b"\xff\xfe{\x00}\x00",
    b"\xef\xbb\xbf{}",
    b'"' + b"\\" * 999,
    b"\r" * 100,
)
TOKENS = (b"{", b"}", b"[", b"]", b'"', b",", b":", b"\\", b"chi", b"null", b"1e", b"-", b"\x80")


def hostile_lines(count: int) -> Iterator[bytes]:
    """Mutants of real lines, runs of tokens and random bytes; the same ones on every run."""
    chance = random.Random(SEED)
    for number in range(count):
        kind = number % 8
        if kind == 0:
            yield chance.choice(EVIL)
        elif kind == 1:
            yield chance.randbytes(chance.randrange(60)).replace(b"\n", b"")
        elif kind == 2:
            yield b"".join(chance.choices(TOKENS, k=chance.randrange(40)))
        else:
            yield _mutant(chance)


def _mutant(chance: random.Random) -> bytes:
    line = bytearray(chance.choice(SEEDS))
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(line))
        match chance.randrange(3):
            case 0:
                line[at] = chance.randrange(256)
            case 1:
                line[at:at] = chance.choice(TOKENS)
            case _:
                del line[at : at + chance.randrange(1, 8)]
        if not line:
            return b""
    return bytes(line).replace(b"\n", b"")


def test_every_hostile_line_is_a_tone_or_a_documented_error() -> None:
    read = 0
    for line in hostile_lines(PURE_LINES):
        try:
            tone = read_line(line)
        except MalformedTone:
            continue
        if tone is not None:
            read += 1
            assert write_line(tone).isascii()
        decide(line, 1)

    assert read > PURE_LINES // 10  # the corpus is not all refused at the first byte


def test_hostile_lines_are_cut_the_same_however_they_arrive() -> None:
    chance = random.Random(SEED)
    lines = list(hostile_lines(2_000))
    data = b"".join(line + b"\n" for line in lines)
    splitter, found, at = Splitter(100_000), [], 0

    while at < len(data):
        size = chance.randrange(1, 5_000)
        found += splitter.feed(data[at : at + size])
        at += size

    assert found == lines


@pytest.mark.parametrize(
    "line",
    [
        b'{"chi":"x","a":' + b"[" * 16_000_000,
        b'{"chi":"x","a":[' + b"[]," * 5_000_000,
        b'{"chi":"x","a":[' + (b"[" * 100 + b"]" * 100 + b",") * 79_000 + b"1]}",
        b'{"chi":"x","a":[' + b'"","' * 4_000_000,
        b'{"chi":"x","a":"' + b'\\"' * 8_000_000 + b'"}',
        b"[" + b"1," * 8_000_000 + b"1]",
    ],
    ids=["deep", "many", "deep and many", "strings", "escapes", "numbers"],
)
def test_a_line_of_legal_length_never_hangs_the_reader(line: bytes) -> None:
    start = time.process_time()

    decide(line, 1)

    assert time.process_time() - start < HANG_SECONDS


def test_the_negative_control_falls_to_the_corpus() -> None:
    """What a lenient reader does with the same lines: it crashes, and accepts what is no JSON."""
    crashes, accepted = set(), 0
    lenient = json.JSONDecoder()
    for line in (*EVIL, b"[" * 100_000):
        try:
            lenient.decode(line.decode("utf-8", "surrogatepass"))
        except ValueError:
            continue
        except RecursionError as problem:
            crashes.add(type(problem))
            continue
        try:
            orjson.loads(line)
        except orjson.JSONDecodeError:
            accepted += 1

    assert RecursionError in crashes
    assert accepted > 0


@pytest.mark.process
def test_the_door_survives_hostile_lines_and_serves_others(home: Path) -> None:
    with Stack(home) as stack, stack.client() as healthy:
        assert healthy.read()["chi"] == "breath"
        process = psutil.Process(stack.pid("thrumd"))
        lines = list(hostile_lines(SOCKET_LINES))

        with stack.client() as hostile:
            hostile.socket.settimeout(20)
            for start in range(0, SOCKET_LINES, 1_000):
                batch = lines[start : start + 1_000]
                hostile.send_raw(b"".join(line + b"\n" for line in batch))
                healthy.send(chi="unknown", rid=f"r{start}")
                assert healthy.read_until("echo")["rid"] == f"r{start}"
            hostile.send_raw(b'{"chi":"x","a":' + b"[" * 15_000_000 + b"\n")
            hostile.send_raw(b"x" * 17_000_000 + b"\n")
            hostile.send(chi="unknown", rid="still there")
            assert hostile.read_until("echo", rid="still there")["ok"] is True

        assert stack.is_running("thrumd")
        assert process.memory_info().rss < RSS_BYTES_MAX
        healthy.send(chi="hello", rid="last")
        assert healthy.read_until("echo", rid="last")["ok"] is True
