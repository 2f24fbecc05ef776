"""Attachments that travel beside a tone: a reference in it, the bytes in a file of this machine.

`attachment:image/png;sha256,<64 hex>` stands where `data:image/png;base64,...` would. The digest is
that of the base64 text, which is also what the file holds, so that nobody has to encode it again.
"""

import hashlib
import re

PREFIX = "attachment:"
MEDIA_CHARS_MAX = 64
_REFERENCE = re.compile(r"attachment:([\w*][\w.+*-]*/[\w*][\w.+*-]*);sha256,([0-9a-f]{64})")


def digest_of(text: bytes | memoryview) -> str:
    """The digest of an attachment's base64 text."""
    return hashlib.sha256(text).hexdigest()


def reference(media: str, digest: str) -> str:
    """What stands in a tone for an attachment."""
    return f"{PREFIX}{media};sha256,{digest}"


def read_reference(url: str) -> tuple[str, str] | None:
    """Media type and digest of a reference; None for what is none."""
    if not url.startswith(PREFIX) or len(url) > len(PREFIX) + 2 * MEDIA_CHARS_MAX + 80:
        return None
    found = _REFERENCE.fullmatch(url)
    return (found[1], found[2]) if found is not None else None
