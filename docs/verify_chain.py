"""Check the chain of a hum's events, or fail; Python and PyNaCl are enough. See log.md, 1 and 7.

verify_chain.py AUTHOR.json SEGMENT.ndjson ...    from the first segment on when its key was changed
"""

import re
import sys
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


first, *segments = (Path(name).read_bytes() for name in sys.argv[1:])
facts = loads(first)
author, keys = "humd_" + sha256(key := bytes.fromhex(facts["pubkey"])).hexdigest(), [key, ""]
need(author == facts["hid"], "the key is not the author's")
*lines, rest = b"".join(segments).rstrip(b"\0").split(b"\n")
link = signed = None
for before, sig, after in (LINE.fullmatch(line).groups() for line in lines):
    event = loads(before + after)
    place = (event["prev_hash"], event["seq"])
    link = link or (place if event["seq"] > 1 else ("0" * 64, 1))
    need((*place, event["author"]) == (*link, author), f"event {link[1]} does not follow")
    link = (sha256(before + after).hexdigest(), link[1] + 1)
    if sig and crypto_sign_open(bytes.fromhex(sig.decode()) + before + after, keys[0]):
        signed = link
    follow(before, sig, after)
need(rest == b"" and signed == link, "no signature covers the last events")
print(f"{len(lines)} events are a chain that {author} signed")
