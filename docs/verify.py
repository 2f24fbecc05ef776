"""Check what a hum proves, or fail; Python and PyNaCl are enough. See log.md, sections 1, 4 and 7.

verify.py PROOF.json        one event, as `hum thehum prove SEQ --out` writes it
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


def follow(before: bytes, sig: bytes, after: bytes) -> None:
    event, body = loads(before + after), loads(before + after)["body"]
    if event["chi"] in ("key-commit", "key-rotate"):
        new, said = bytes.fromhex(body["pubkey"]), f"{author}\n{keys[0].hex()}\n{body['pubkey']}\n"
        crypto_sign_open(bytes.fromhex(sig.decode()) + before + after, keys[0])
        if event["chi"] == "key-rotate":
            said = f"hum-key-rotate-v1\n{said}{body['next']}\n"
            need(sha256(new).hexdigest() == keys[1], "a key that was not named before took over")
            crypto_sign_open(bytes.fromhex(body["sig"]) + said.encode(), new)
        else:
            need((new, keys[1]) == (keys[0], ""), "the log names its next key twice")
        keys[:] = [new, body["next"]]


facts = loads(Path(sys.argv[1]).read_bytes())
author, keys = "humd_" + sha256(key := bytes.fromhex(facts["pubkey"])).hexdigest(), [key, ""]
need(author == facts["author"], "the key is not the author's")
for line in facts.get("keys", []):
    follow(*LINE.fullmatch(line.encode()).groups())
(text, below), key = facts["checkpoint"].split("\n\n"), keys[0]
(origin, size, root), (_, name, signature, *_) = text.split("\n"), below.split()
before, _, after = LINE.fullmatch(facts["line"].encode()).groups()
payload, event, seq = b64decode(signature), loads(before + after), facts["seq"]
need(name == origin == f"hum/{author}/{origin.split('/')[-1]}", "it is of another log")
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
