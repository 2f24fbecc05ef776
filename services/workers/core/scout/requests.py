"""What a question asks for, read from English with patterns; no model, so it is easily fooled.

The rules are tried from the most to the least particular. What fits none, but names a file or a
symbol, is taken as "explain that".
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

TARGETS_MAX = 4
"""Files or symbols of one question; further ones are left out."""
QUESTION_CHARS_MAX = 2_000
"""A longer text is taken to be material with the question in its last paragraph."""


class Aim(StrEnum):
    """What is wanted of the targets."""

    GREET = "greet"
    HELP = "help"
    LIST = "list"
    READ = "read"
    OUTLINE = "outline"
    EXPLAIN = "explain"
    FIND = "find"
    SHOW = "show"
    SEARCH = "search"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One question, understood."""

    aim: Aim
    paths: tuple[str, ...] = ()
    """Files or folders it names."""
    symbols: tuple[str, ...] = ()
    """Names it asks about; `paths` then says where to look. For a search the text to search for."""


def read_request(text: str) -> Request:
    """Understand a question. Always gives something, at worst `UNCLEAR`."""
    question = _question(text)
    asked = question.lower()
    paths, symbols, quoted = _paths(question), _symbols(question), _quoted(question)
    if not (paths or symbols or quoted):
        if _GREETING.search(asked):
            return Request(aim=Aim.GREET)
        if _HELP.search(asked):
            return Request(aim=Aim.HELP)
    for pattern, aim in _AIMS:
        if pattern.search(asked):
            request = _aimed(aim, question, paths, symbols, quoted)
            if request is not None:
                return request
    if symbols:
        return Request(aim=Aim.EXPLAIN, symbols=symbols, paths=paths)
    return Request(aim=Aim.EXPLAIN, paths=paths) if paths else Request(aim=Aim.UNCLEAR)


def _aimed(
    aim: Aim,
    question: str,
    paths: tuple[str, ...],
    symbols: tuple[str, ...],
    quoted: tuple[str, ...],
) -> Request | None:
    """The request for an aim that the words suggest; None when its target is missing."""
    if aim is Aim.SEARCH:
        wanted = quoted or symbols or _after(_SEARCH_WORDS, question)
        where = paths or _within(question)
        return Request(aim=aim, symbols=wanted[:1], paths=where) if wanted else None
    if aim is Aim.LIST:
        paths = paths or _last_word(question) or (".",)
        return Request(aim=aim, paths=paths)
    if symbols and aim in (Aim.FIND, Aim.SHOW, Aim.EXPLAIN, Aim.OUTLINE):
        return Request(aim=aim, symbols=symbols, paths=paths or _within(question))
    if aim is Aim.SHOW and not paths:
        return None
    if paths:
        return Request(aim=Aim.READ if aim is Aim.SHOW else aim, paths=paths)
    word = _last_word(question)
    if not word:
        return None
    if aim in (Aim.FIND, Aim.SHOW):
        return Request(aim=aim, symbols=word)
    return Request(aim=aim, paths=word)


_GREETING = re.compile(
    r"^\W*(please )?(say |tell me )?"
    r"(hi|hello|hey|howdy|yo|ping|test|thanks|thank you|good (morning|evening|day|afternoon))\b"
)
_HELP = re.compile(
    r"\b(what|which things?) (can|do|could) (you|i|scout)\b|\bwho are you\b|\bwhat are you\b"
    r"|\bare you (a|an) \b|\bhow do (you|i)\b|^\W*help\b"
)
_SEARCH_WORDS = r"(?:search(?: for)?|grep(?: for)?|look for|mentions? of|references? to|usages? of)"
_SEARCH = (
    r"\b(search|grep|look for|usages?|references?)\b|\bwho (uses|calls|imports)\b"
    r"|\bwhere\b.*\b(used|called|imported|mentioned)\b"
    r"|\bwhich files? (mention|use|contain|call|import|say)"
)
_FIND = r"\bwhere\b|\b(find|locate)\b|\bwhich (file|module|folder)\b.*\b(defines?|has)\b"
_OUTLINE = (
    r"\b(outline|structure|symbols|exports?|defined? in|defines?|api)\b"
    r"|\b(functions?|classes|methods|types|constants) (in|of|does|are|from)\b"
)
_LIST = (
    r"\b(list|ls|tree)\b"
    r"|\b(which|what) (files|folders|directories|services|packages|modules)\b"
    r"|\b(files|folders|directories|contents?) (in|of|under|below)\b"
)
_EXPLAIN = (
    r"\b(explain|describe|summari[sz]e|understand|overview|purpose)\b"
    r"|\bwhat does\b|\bhow does\b|\bwhat .* for\b|\btell me about\b"
)
_SHOW = r"\b(show|print|display|source|code|body|implementation)\b"
_READ = r"\b(read|open|cat|what is in|what's in|whats in|inside)\b"
_AIMS = tuple(
    (re.compile(pattern), aim)
    for pattern, aim in (
        (_SEARCH, Aim.SEARCH),
        (_FIND, Aim.FIND),
        (_OUTLINE, Aim.OUTLINE),
        (_LIST, Aim.LIST),
        (_EXPLAIN, Aim.EXPLAIN),
        (_SHOW, Aim.SHOW),
        (_READ, Aim.READ),
        (r"\bwhat(?:'s| is| are)\b", Aim.EXPLAIN),
    )
)
"""What the words suggest, the most particular first."""
_EXTENSIONS = (
    "py|pyi|md|rst|txt|toml|json|jsonl|yaml|yml|ini|cfg|conf|env|lock|orch|proto|xml|svg|html|css|csv"
    "|js|jsx|mjs|cjs|ts|tsx|mts|vue|svelte|go|rs|java|kt|swift|c|h|cc|cpp|hpp|rb|php|cs|sh|bash|sql"
    "|lua|log|mod|sum"
)
_PATH = re.compile(
    rf"""(?<![\w/])(
        (?:~|\.{{1,2}})?/[^\s,;:!?"'`()<>]*          # absolute, or relative with a dot
      | [\w.@+-]+(?:/[\w.@+*-]+)+/?                  # a/b/c
      | [\w@+-]+/(?![\w])                            # folder/
      | [\w.@+*-]*[\w*-]\.(?:{_EXTENSIONS})(?![\w/]) # name.ext
      | (?:(?i:README|Makefile|Dockerfile|CHANGELOG|Orchfile)|LICENSE|SECURITY)(?![\w.])
    )""",
    re.VERBOSE,
)
_QUOTED = re.compile(r"`([^`\n]{1,200})`|\"([^\"\n]{1,200})\"|(?<!\w)'([^'\n]{1,200})'(?!\w)")
_NAME = r"[A-Za-z_]\w*(?:(?:\.|::)[A-Za-z_]\w*)*(?:#\d+)?"
_KIND = r"class|function|method|def|symbol|constant|variable|struct|enum|type|trait|interface"
_NAMED = re.compile(
    r"\b(?:(?:code|source|body|implementation|definition)\s+(?:of|for)(?:\s+the)?|(?P<kind>"
    rf"{_KIND}))\s+(?(kind)(?:called\s+|named\s+)?|(?:(?:{_KIND})\s+)?)({_NAME})",
    re.IGNORECASE,
)
_LOOKS_LIKE_CODE = re.compile(
    rf"({_NAME})\(\)"
    r"|\b([A-Za-z]+_\w+|_\w+)\b"
    r"|\b((?:[A-Z][a-z0-9]+){2,}\w*|[a-z]+(?:[A-Z][a-z0-9]+)+)\b"
    rf"|\b([A-Z]\w*(?:(?:\.|::){_NAME})+)"
)
_SUBJECT = re.compile(
    rf"\b(?:where(?:'s| is| are)|find|locate|explain|describe|defines?|show(?: me)?)\s+(?:the\s+)?"
    rf"({_NAME})\b(?=\W*$|\s+(?:in|from|of|is|are|defined|implemented|declared|comes?|lives?)\b)",
    re.IGNORECASE,
)
_ONE_WORD = re.compile(_NAME)
_NO_NAMES = """
a about all an and any are be can class classes code contains contents could define defined
defines describe directories directory display do does each every explain file files find folder
folders for from function functions give have here how i in inside is it its list live lives
locate ls me method methods module modules my of on open or our outline overview package
packages please print project purpose read repo repository root show source structure summarise
summarize symbol symbols tell that the them there these this those to tree understand us used
uses we what what's where which who whole with work works would you your
"""
_STOP_WORDS = frozenset(_NO_NAMES.split())
"""Words that name no file and no symbol."""


def _question(text: str) -> str:
    """The question in a text: without what clients put around it."""
    text = re.sub(r"<([\w-]+)>.*?</\1>", " ", text, flags=re.DOTALL).strip()
    if len(text) > QUESTION_CHARS_MAX:
        text = text.rsplit("\n\n", 1)[-1].strip()[-QUESTION_CHARS_MAX:]
    return text


def _quoted(question: str) -> tuple[str, ...]:
    return _few(match.group(match.lastindex or 0) for match in _QUOTED.finditer(question))


def _paths(question: str) -> tuple[str, ...]:
    found = [match.group(1).rstrip(".") for match in _PATH.finditer(question)]
    return _few(path.removeprefix("./") or "." for path in found if path and path != "/")


def _symbols(question: str) -> tuple[str, ...]:
    """Names that look like code, once what looks like a path is taken out."""
    rest = _PATH.sub(" ", question)
    found = [match.group(2) for match in _NAMED.finditer(rest)]
    found += [text for text in _quoted(rest) if _ONE_WORD.fullmatch(text)]
    found += [match.group(match.lastindex or 0) for match in _LOOKS_LIKE_CODE.finditer(rest)]
    if not found:
        subjects = (match.group(1) for match in _SUBJECT.finditer(rest))
        found += [name for name in subjects if name[0].isupper()]
    return _few(name for name in found if name.lower() not in _STOP_WORDS)


def _after(words: str, question: str) -> tuple[str, ...]:
    """What follows one of `words`, up to a place or the end."""
    match = re.search(
        rf"{words}\s+(.+?)(?:\s+(?:in|under|inside|within)\s+\S+)?[?.!\s]*$",
        question,
        re.IGNORECASE,
    )
    return (match.group(1),) if match else ()


def _within(question: str) -> tuple[str, ...]:
    """The folder that "in services" at the end names."""
    match = re.search(r"\b(?:in|under|inside|within|from)\s+([\w.-]*\w)[?.!\s]*$", question)
    return (match.group(1),) if match and match.group(1).lower() not in _STOP_WORDS else ()


def _last_word(question: str) -> tuple[str, ...]:
    """The last word that could name something."""
    words = re.findall(r"[\w.*-]*[\w*]", question)
    named = [word for word in words if word.lower() not in _STOP_WORDS]
    return (named[-1],) if named else ()


def _few(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))[:TARGETS_MAX]
