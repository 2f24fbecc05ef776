"""Keys in the output of a command, by their public form; one without a form is not seen."""

import re

_SECRET = re.compile(
    r"\b(?:"
    r"sk-(?:ant-|proj-)?[A-Za-z0-9_-]{20,}"  # model services
    r"|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{40,}|glpat-[A-Za-z0-9_-]{20,}"
    r"|xox[abprs]-[A-Za-z0-9-]{10,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}"
    r"|AIza[A-Za-z0-9_-]{35}"
    r"|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,}"
    r"|eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"
    r")"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
)
_SIGNS = (
    "sk-",
    "gh",
    "github_pat_",
    "glpat-",
    "xox",
    "KIA",
    "ASIA",
    "AIza",
    "npm_",
    "pypi-",
    "eyJ",
)
"""What each of them has in it, for a look that costs little."""
_BEGIN = "-----BEGIN "
_END = re.compile(r"-----END [A-Z ]*-----")
_WORD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
SHOWN = "[secret removed]"


def without_secrets(text: str) -> str:
    """The text with each key replaced."""
    if _BEGIN not in text and not any(sign in text for sign in _SIGNS):
        return text
    return _SECRET.sub(SHOWN, text)


def begins_secret(text: str, start: int) -> int:
    """Where, from `start` on, something begins that the next piece may make a key."""
    word = start + len(text[start:].rstrip(_WORD))
    block = text.rfind(_BEGIN, start)
    if block < 0:
        return word
    closed = _END.search(text, block)
    return word if closed is not None and closed.end() <= word else min(block, word)
