"""Print what a hum proves, or fail; Python and PyNaCl are enough. See log.md, 1 and 4.

verify.py PROOF.json                        one event, as `hum thehum prove SEQ --out` writes it
verify.py AUTHOR.json SEGMENT.ndjson ...    a chain: author.json and segments, oldest first
"""

import re
import sys
from base64 import b64decode
from hashlib import sha256
from json import loads  # noqa: TID251 - the standard library is all there is
from pathlib import Path

from nacl.bindings import crypto_sign_open

LINE = re.compile(rb'(\{"author":.*),"sig":(?:null|"([0-9a-f]{128})")(,"ts_ms":[0-9]+\})', re.S)


def need(is_good: bool, reason: str) -> None:
    if not is_good:
        sys.exit(f"NOT PROVEN: {reason}")


first, *segments = (Path(name).read_bytes() for name in sys.argv[1:])
facts = loads(first)
author = "humd_" + sha256(key := bytes.fromhex(facts["pubkey"])).hexdigest()
need(author == facts.get("author", facts.get("hid")), "the key is not the author's")
if segments:
    *lines, rest = b"".join(segments).rstrip(b"\0").split(b"\n")
    link = signed = None
    for before, sig, after in (LINE.fullmatch(line).groups() for line in lines):
        event = loads(before + after)
        place = (event["prev_hash"], event["seq"])
        link = link or (place if event["seq"] > 1 else ("0" * 64, 1))
        need((*place, event["author"]) == (*link, author), f"event {link[1]} does not follow")
        link = (sha256(before + after).hexdigest(), link[1] + 1)
        if sig and crypto_sign_open(bytes.fromhex(sig.decode()) + before + after, key):
            signed = link
    need(rest == b"" and signed == link, "no signature covers the last events")
    print(f"{len(lines)} events are a chain that {author} signed")
else:
    text, below = facts["checkpoint"].split("\n\n")
    (origin, size, root), (_, name, signature, *_) = text.split("\n"), below.split()
    before, _, after = LINE.fullmatch(facts["line"].encode()).groups()
    payload, event, seq = b64decode(signature), loads(before + after), facts["seq"]
    need(name == origin == f"hum/{author}/1", "the checkpoint is of another log")
    need(payload[:4] == sha256(f"{name}\n\1".encode() + key).digest()[:4], "another key signed")
    crypto_sign_open(payload[4:] + f"{text}\n".encode(), key)
    need((event["author"], event["seq"]) == (author, seq), "it is about another event")
    leaf, index, last = sha256(before + after).digest(), seq - 1, int(size) - 1
    node = sha256(b"\0" + leaf).digest()
    for sibling in map(bytes.fromhex, facts["inclusion"]):  # RFC 9162, section 2.1.3.2
        need(0 <= index <= last != 0, "the proof is too long")
        is_right = index & 1 or index == last
        node = sha256(b"\1" + (sibling + node if is_right else node + sibling)).digest()
        while is_right and index and not index & 1:
            index, last = index >> 1, last >> 1
        index, last = index >> 1, last >> 1
    need(index == last == 0 and node == b64decode(root), "the event is not in that log")
    print(f"event {seq} is in the log of {author}, signed at {size} events")
