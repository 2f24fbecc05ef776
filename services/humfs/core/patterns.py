"""Regular expressions of `pattern`: the syntax of RE2, run by Python's `re`.

`translate` reads RE2 syntax and writes the same expression for `re`; what RE2 has not (look-around,
back-references, possessive and atomic groups) is refused, so an expression means here what it means
in every other RE2 tool. Python's engine backtracks, so nothing here makes matching linear: it runs
in a child process that is killed when its time is over (`edge.matcher`), which is the only limit
that holds against an expression such as `(a+)+$`.
"""

import re
from dataclasses import dataclass, field

from humfs.errors import Code, Refusal

PATTERN_CHARS_MAX = 1_000
DEPTH_MAX = 50
"""Groups within groups."""
REPEAT_MAX = 1_000
"""Largest number in `{n,m}`, as in RE2."""

_SPECIAL = frozenset("\\.+*?()|[]{}^$")
_DIGIT, _WORD, _SPACE = "0-9", "0-9A-Za-z_", r"\t\n\f\r "
_PERL = {
    "d": _DIGIT,
    "w": _WORD,
    "s": _SPACE,
    "D": r"\x00-/:-\U0010ffff",
    "W": r"\x00-/:-@\[-\^`{-\U0010ffff",
    "S": r"\x00-\x08\x0b\x0e-\x1f!-\U0010ffff",
}
_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": _DIGIT,
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t-\r ",
    "upper": "A-Z",
    "word": _WORD,
    "xdigit": "0-9A-Fa-f",
}
_CONTROL = {"a": 7, "f": 12, "t": 9, "n": 10, "r": 13, "v": 11}
_REPEAT = re.compile(r"\{([0-9]{1,9})(,([0-9]{0,9}))?\}")
_FLAGS = re.compile(r"\(\?([ims]*)(?:-([ims]+))?([:)])")
_NAME = re.compile(r"\(\?P?<([A-Za-z_][A-Za-z0-9_]*)>")
_HEX = re.compile(r"x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,6})\})")
_OCTAL = re.compile(r"0[0-7]{0,2}")
_POSIX_CLASS = re.compile(r"\[:(\^?)([a-z]+):\]")


def translate(pattern: str) -> str:
    """The expression for Python's `re`; raises `Refusal` (`bad_pattern`) with the reason."""
    if len(pattern) > PATTERN_CHARS_MAX:
        raise _bad(f"longer than {PATTERN_CHARS_MAX} characters")
    translated = _Reader(pattern).read()
    try:
        re.compile(translated)
    except (re.error, OverflowError, RecursionError) as problem:
        reason = problem.msg if isinstance(problem, re.error) else "too large"
        raise _bad(reason) from problem
    return translated


def literal(pattern: str) -> str:
    """The text every match contains, when the pattern is nothing but text; else empty."""
    return pattern if not any(char in _SPECIAL for char in pattern) else ""


@dataclass(slots=True)
class _Reader:
    """One pass over a pattern, writing as it reads."""

    text: str
    at: int = 0
    out: list[str] = field(default_factory=list)
    groups: list[list[str]] = field(default_factory=lambda: [[]])
    """For each open group the flag groups opened inside it, which end where it ends."""
    can_repeat: bool = False

    def read(self) -> str:
        while self.at < len(self.text):
            self._one()
        if len(self.groups) > 1:
            raise _bad("missing closing )")
        self._end_flags()
        return "".join(self.out)

    def _one(self) -> None:
        char = self.text[self.at]
        if char == "\\":
            self._escape()
        elif char == "[":
            self._class()
        elif char == "(":
            self._group()
        elif char == ")":
            self._end_group()
        elif char == "|":
            self._alternative()
        elif char in "*+?" or _REPEAT.match(self.text, self.at):
            self._repeat()
        else:
            self.at += 1
            self._write(char if char in ".^$" else re.escape(char))

    def _write(self, text: str) -> None:
        self.out.append(text)
        self.can_repeat = True

    def _escape(self) -> None:
        char = self._escaped()
        if char in _PERL:
            self._write(f"[{_PERL[char]}]")
        elif char in "bB":
            self._write(rf"(?a:\{char})")
        elif char in "Az":
            self._write(r"\A" if char == "A" else r"\Z")
        elif char == "Q":
            end = self.text.find("\\E", self.at + 1)
            end = len(self.text) if end < 0 else end
            for literal in self.text[self.at + 1 : end]:
                self._write(re.escape(literal))
            self.at = end + 1
        else:
            self._write(re.escape(chr(self._code())))
            return
        self.at += 1

    def _escaped(self) -> str:
        """Step over the backslash; the character behind it."""
        self.at += 1
        if self.at == len(self.text):
            raise _bad("trailing backslash")
        return self.text[self.at]

    def _code(self) -> int:
        """Read what stands behind a backslash as one character."""
        char = self.text[self.at]
        number = _HEX.match(self.text, self.at) or _OCTAL.match(self.text, self.at)
        if number is not None:
            self.at = number.end()
            code = int(number[0], 8) if char == "0" else int(number[1] or number[2], 16)
            if code > 0x10FFFF:
                raise _bad(f"no such character: \\{number[0]}")
            return code
        if char.isdigit():
            raise _bad(f"back-references are not supported: \\{char}")
        if char.isascii() and char.isalpha() and char not in _CONTROL:
            raise _bad(f"escape sequence is not supported: \\{char}")
        self.at += 1
        return _CONTROL.get(char, ord(char))

    def _class(self) -> None:
        start = self.at
        self.at += 1
        parts = ["["]
        if self.text.startswith("^", self.at):
            parts.append("^")
            self.at += 1
        first = True
        while first or not self.text.startswith("]", self.at):
            if self.at >= len(self.text):
                raise _bad(f"missing closing ]: {self.text[start:]}")
            parts.append(self._class_part())
            first = False
        self.at += 1
        self._write("".join(parts) + "]")

    def _class_part(self) -> str:
        posix = _POSIX_CLASS.match(self.text, self.at)
        if posix is not None:
            if posix[2] not in _POSIX or posix[1]:
                raise _bad(f"character class is not supported: {posix[0]}")
            self.at = posix.end()
            return _POSIX[posix[2]]
        if self.text.startswith("\\", self.at) and self.text[self.at + 1 : self.at + 2] in set(
            _PERL
        ):
            self.at += 2
            return _PERL[self.text[self.at - 1]]
        low = self._class_char()
        if not self.text.startswith("-", self.at) or self.text[self.at + 1 : self.at + 2] in (
            "]",
            "",
        ):
            return re.escape(chr(low))
        self.at += 1
        high = self._class_char()
        if high < low:
            raise _bad("character class range is the wrong way round")
        return f"{re.escape(chr(low))}-{re.escape(chr(high))}"

    def _class_char(self) -> int:
        if self.at >= len(self.text):
            raise _bad("missing closing ]")
        if self.text[self.at] == "\\":
            self._escaped()
            return self._code()
        self.at += 1
        return ord(self.text[self.at - 1])

    def _group(self) -> None:
        flags, name = _FLAGS.match(self.text, self.at), _NAME.match(self.text, self.at)
        self.can_repeat = False
        if flags is not None and flags[3] == ")":
            self.at = flags.end()
            self._start_flags(_flag_group(flags))
            return
        if len(self.groups) > DEPTH_MAX:
            raise _bad(f"more than {DEPTH_MAX} groups within groups")
        if flags is not None:
            self.at = flags.end()
            self.out.append(_flag_group(flags))
        elif name is not None:
            self.at = name.end()
            self.out.append(f"(?P<{name[1]}>")
        elif self.text.startswith("(?", self.at):
            raise _bad(f"not supported: {self.text[self.at : self.at + 4]} (no look-around in RE2)")
        else:
            self.at += 1
            self.out.append("(")
        self.groups.append([])

    def _start_flags(self, opening: str) -> None:
        self.groups[-1].append(opening)
        self.out.append(opening)

    def _end_flags(self) -> None:
        self.out.append(")" * len(self.groups[-1]))

    def _end_group(self) -> None:
        if len(self.groups) == 1:
            raise _bad("unexpected )")
        self._end_flags()
        self.groups.pop()
        self.at += 1
        self._write(")")

    def _alternative(self) -> None:
        self._end_flags()
        self.out.append("|" + "".join(self.groups[-1]))
        self.at += 1
        self.can_repeat = False

    def _repeat(self) -> None:
        counted = _REPEAT.match(self.text, self.at)
        operator = counted[0] if counted else self.text[self.at]
        if not self.can_repeat:
            raise _bad(f"missing argument to repetition operator: {operator}")
        if counted and max(int(counted[1]), int(counted[3] or 0)) > REPEAT_MAX:
            raise _bad(f"repetition of more than {REPEAT_MAX}: {operator}")
        self.at += len(operator)
        if self.text.startswith("?", self.at):
            operator += "?"
            self.at += 1
        self.out.append(operator)
        self.can_repeat = False


def _flag_group(match: re.Match[str]) -> str:
    off = f"-{match[2]}" if match[2] else ""
    return f"(?{match[1]}{off}:"


def _bad(reason: str) -> Refusal:
    return Refusal(
        Code.BAD_PATTERN,
        f"pattern cannot be used: {reason}.",
        hint="It is an RE2 expression, applied line by line; \\ makes a character literal.",
    )
