"""Canonical JSON."""

import math
import re
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thrum.canonical import NotCanonical, dumps

TABLE = [
    (1.0, b"1.0"),
    (12.34, b"12.34"),
    (1e15, b"1000000000000000.0"),
    (1e16, b"1e16"),
    (0.00001, b"0.00001"),
    (0.000001, b"1e-6"),
    (1.5e-7, b"1.5e-7"),
    (float(123456789012345680), b"1.2345678901234568e17"),
    (-2.5, b"-2.5"),
    (-0.0, b"-0.0"),
    (5e-324, b"5e-324"),
    (1.7976931348623157e308, b"1.7976931348623157e308"),
]

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
)


def float_text(value: float) -> str:
    """The float rule, word by word and by other means than the encoder."""
    sign, numerals, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    digits = "".join(map(str, numerals))
    n, k = len(digits), len(digits) + exponent
    if value == 0:
        digits, n, k = "0", 1, 1
    if n <= k <= 16:
        text = digits + "0" * (k - n) + ".0"
    elif 0 < k <= 16:
        text = f"{digits[:k]}.{digits[k:]}"
    elif -5 < k <= 0:
        text = "0." + "0" * -k + digits
    else:
        text = digits[0] + ("." + digits[1:] if n > 1 else "") + f"e{k - 1}"
    return "-" * sign + text


def string_text(value: str) -> str:
    short = {"\b": "b", "\t": "t", "\n": "n", "\f": "f", "\r": "r", '"': '"', "\\": "\\"}
    return (
        '"'
        + re.sub(
            r'[\x00-\x1f"\\]',
            lambda hit: (
                "\\" + short[hit[0]] if hit[0] in short else "\\u00" + format(ord(hit[0]), "02x")
            ),
            value,
        )
        + '"'
    )


def reference(value: Any) -> str:
    """A second implementation, slow and plain."""
    match value:
        case None | True | False:
            return {None: "null", True: "true", False: "false"}[value]
        case str():
            return string_text(value)
        case int():
            return str(value)
        case float():
            return float_text(value)
        case list():
            return "[" + ",".join(map(reference, value)) + "]"
        case dict():
            keys = sorted(value, key=lambda key: key.encode())
            return "{" + ",".join(f"{string_text(k)}:{reference(value[k])}" for k in keys) + "}"
    raise AssertionError(value)


@pytest.mark.parametrize(("value", "text"), TABLE)
def test_a_float_is_laid_out_as_the_table_says(value: float, text: bytes) -> None:
    assert dumps(value) == text
    assert dumps({"x": [value]}) == b'{"x":[' + text + b"]}"


def test_keys_are_sorted_by_their_utf8_bytes_at_every_level() -> None:
    value = {"é": {"b": 1, "a": 2}, "\U0001f600": 0, "\uffff": 0, "Z": 0, "a": 0, "": 0}

    assert list(orjson.loads(dumps(value))) == ["", "Z", "a", "é", "\uffff", "\U0001f600"]
    assert b'{"a":2,"b":1}' in dumps(value)


def test_only_what_must_be_escaped_is_escaped() -> None:
    text = dumps('"\\\x00\x1f\b\t\n\f\r/\x7f\u2028\U0001f600')

    assert text == '"\\"\\\\\\u0000\\u001f\\b\\t\\n\\f\\r/\x7f\u2028\U0001f600"'.encode()


def test_a_string_that_looks_like_a_large_exponent_is_left_alone() -> None:
    assert dumps({"a": "1e+16", "b": 1e16}) == b'{"a":"1e+16","b":1e16}'


def test_arrays_keep_their_order_and_big_integers_their_digits() -> None:
    assert dumps([3, 1, 2**64 - 1, -(2**63)]) == b"[3,1,18446744073709551615,-9223372036854775808]"


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        {"a": [1, {"b": math.inf}]},
        [-math.inf, None],
        b"bytes",
        "\udc80",
        {1: 2},
        {"a": {None: 1}},
        2**64,
        object(),
    ],
)
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(NotCanonical):
        dumps(value)


def test_null_beside_numbers_is_not_mistaken_for_nan() -> None:
    assert dumps({"a": None, "b": (1.5, {"c": None})}) == b'{"a":null,"b":[1.5,{"c":null}]}'


@given(json_values)
def test_two_implementations_agree(value: object) -> None:
    """`reliability I9`."""
    assert dumps(value) == reference(value).encode()


@given(json_values)
def test_canonical_bytes_read_back_and_write_the_same_bytes(value: object) -> None:
    """`reliability I9`."""
    assert dumps(orjson.loads(dumps(value))) == dumps(value)
