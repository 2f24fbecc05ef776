r"""Canonical JSON: one value, one sequence of bytes.

- UTF-8, no white space. Keys are sorted by their UTF-8 bytes at every level; arrays keep order.
- Strings escape only `"`, `\` and U+0000 to U+001F: `\b \t \n \f \r`, otherwise `\u00xx` in
  lower case. Everything else is literal.
- Integers are plain decimals. A float is the shortest decimal that reads back to the same double:
  digits d1..dn with the value 0.d1..dn times 10^k. n <= k <= 16: digits, zeros, `.0`;
  0 < k <= 16: point inside; -5 < k <= 0: `0.`, zeros, digits; otherwise `d1.d2..e<k-1>`, no plus.
- NaN and infinities have no canonical form.

orjson writes all of this but for two things, which cost nothing when they do not occur. It puts a
plus into large exponents (`1e+16`): output that could hold one is written by an exact encoder.
It writes `null` for NaN: output with `null` in it is paid for with a walk over the value.
"""

import math
import re
from typing import Any

import orjson

from thrum.errors import LocalError

_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
_PLUS = ord("+")
_PLUS_EXPONENT = re.compile(rb"[0-9]e\+[0-9]")


class NotCanonical(LocalError):
    """A value that canonical JSON cannot express."""


def dumps(value: Any) -> bytes:
    """The canonical bytes of `value`: what JSON can hold, integers within 64 bits.

    Raises `NotCanonical` for everything else: NaN, infinities, bytes, lone surrogates, keys that
    are not strings, integers beyond 64 bits, nesting deeper than 254.
    """
    try:
        text = orjson.dumps(value, option=_OPTIONS)
    except TypeError as problem:
        raise NotCanonical(f"no canonical form: {problem}") from problem
    if text.find(b"null") >= 0:  # half the price of `in`
        _refuse_nan(value)
    if _PLUS in text and _PLUS_EXPONENT.search(text):
        return _exact(value)
    return text


def _refuse_nan(value: Any) -> None:
    kind = type(value)
    if kind is float:
        if not math.isfinite(value):
            raise NotCanonical(f"no canonical form: {value} is not a number of JSON")
    elif kind is dict:
        for item in value.values():
            _refuse_nan(item)
    elif kind is list or kind is tuple:
        for item in value:
            _refuse_nan(item)


def _exact(value: Any) -> bytes:
    """Write `value`, which orjson accepted, with exponents that carry no plus."""
    kind = type(value)
    if kind is float:
        return orjson.dumps(value).replace(b"e+", b"e")
    if kind is dict:
        # Sorting by code points is sorting by UTF-8 bytes.
        pairs = (orjson.dumps(key) + b":" + _exact(value[key]) for key in sorted(value))
        return b"{" + b",".join(pairs) + b"}"
    if kind is list or kind is tuple:
        return b"[" + b",".join(map(_exact, value)) + b"]"
    return orjson.dumps(value, option=_OPTIONS)
