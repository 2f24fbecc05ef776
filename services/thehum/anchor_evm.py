"""`python -m thehum.anchor_evm`: have one call sent, and wait until it is in a block.

The job comes as one JSON object on stdin. The user's own program signs and sends: it gets
`{"to", "data", "chainId"}` on stdin and prints the hash of the transaction. No key is here, and
there is no default endpoint. Then the receipt is asked for over JSON-RPC; a call that failed, or
that is not in a block in time, is an error.

Exit status 0 and `{"ref": "<hash>"}`, or 1 and a sentence on stderr.
"""

import http.client
import re
import subprocess
import sys
import time
from typing import Any
from urllib.parse import urlsplit

import orjson

SEND_SECONDS = 60.0
RECEIPT_SECONDS = 50.0
LOOK_SECONDS = 0.5
RPC_SECONDS = 10.0
RPC_BYTES_MAX = 1024 * 1024
JOB_BYTES_MAX = 64 * 1024
_HASH = re.compile(r"0x[0-9a-f]{64}")


class NotSent(Exception):
    """Why there is no anchor this time."""


def send(job: dict[str, Any]) -> str:
    """Have the user's program send the call; the hash of the transaction."""
    call = {"to": job["contract"], "data": job["data"], "chainId": job["chain_id"]}
    try:
        done = subprocess.run(
            job["command"], input=orjson.dumps(call), capture_output=True,
            timeout=SEND_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise NotSent(f"{job['command'][0]}: {problem}") from problem
    said = done.stdout.decode(errors="replace").strip().lower()
    if done.returncode != 0 or not _HASH.fullmatch(said):
        reason = done.stderr.decode(errors="replace").strip()[-300:]
        raise NotSent(f"{job['command'][0]} ended with {done.returncode}: {reason or said[:100]}")
    return said


def ask(url: str, method: str, params: list[object]) -> Any:
    """One call of JSON-RPC over HTTP; raises `NotSent` for everything but an answer."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    link = kind(parts.hostname or "", parts.port, timeout=RPC_SECONDS)
    body = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    try:
        link.request("POST", parts.path or "/", body, {"Content-Type": "application/json"})
        response = link.getresponse()
        answer = orjson.loads(response.read(RPC_BYTES_MAX))
    except (OSError, http.client.HTTPException, orjson.JSONDecodeError) as problem:
        raise NotSent(f"{url}: {problem}") from problem
    finally:
        link.close()
    if not isinstance(answer, dict) or answer.get("error") or "result" not in answer:
        raise NotSent(f"{method}: {str(answer)[:300]}")
    return answer["result"]


def wait(url: str, ref: str, data: str) -> None:
    """Return once the transaction is in a block, worked, and carried this call data."""
    ends = time.monotonic() + RECEIPT_SECONDS
    while (receipt := ask(url, "eth_getTransactionReceipt", [ref])) is None:
        if time.monotonic() > ends:
            raise NotSent(f"{ref} is in no block after {RECEIPT_SECONDS:.0f} s")
        time.sleep(LOOK_SECONDS)
    if receipt.get("status") != "0x1":
        raise NotSent(f"the call {ref} failed")
    sent = ask(url, "eth_getTransactionByHash", [ref]) or {}
    if str(sent.get("input", "")).lower() != data:
        raise NotSent(f"{ref} carries other call data than was to be sent")


def main() -> int:
    """Do the job on stdin; the exit status."""
    job = orjson.loads(sys.stdin.buffer.read(JOB_BYTES_MAX))
    try:
        ref = send(job)
        wait(job["rpc_url"], ref, job["data"])
    except NotSent as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    sys.stdout.buffer.write(orjson.dumps({"ref": ref}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
