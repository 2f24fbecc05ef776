"""Anchors (humfs 6.4)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.humfs.examples import M_MD

from humfs.core import anchors, views
from humfs.core.text import decode


def block(path: str, source: str) -> list[str]:
    text = decode(source.encode())
    rows, _ = views.anchor_block(anchors.anchors_of(path, text), text)
    return rows.split("\n") if rows else []


def labels(path: str, source: str) -> list[str]:
    return [one.label for one in anchors.anchors_of(path, decode(source.encode()))]


def test_markdown_headings_nest_and_fenced_ones_do_not_count() -> None:
    """humfs E29."""
    assert block("m.md", M_MD) == [
        "§ # Title L1-L15",
        "  § ## Setup L5-L15",
        "    § ### Advanced L13-L15",
    ]


def test_markdown_underlined_headings_count() -> None:
    assert block("m.md", "Title\n=====\n\na\n\nSub\n---\nb\n\n- x\n---\n") == [
        "§ Title L1-L11",
        "  § Sub L6-L11",
    ]


@pytest.mark.parametrize(
    "source",
    [
        "# A\n\n<!--\n## B\n\n## B\n-->\n",
        "# A\n\n<!-- one line -->\n\n<pre>\n## B\n</pre>\n",
        "---\ntitle: x\n# B\n---\n# A\n",
        "# A\n\n<!-- never closed\n## B\n",
    ],
)
def test_markdown_that_is_no_text_has_no_headings(source: str) -> None:
    assert labels("m.md", source) == ["# A"]


def test_markdown_behind_what_is_no_text_has_headings() -> None:
    assert labels("m.md", "<!-- a -->\n# A\n<!--\n-->\n# B\n") == ["# A", "# B"]
    assert labels("m.md", "---\n# A\n") == ["# A"], "no front matter without an end"


@pytest.mark.parametrize(
    ("path", "source", "rows"),
    [
        ("a.ini", "[s]\nk = v\n  goes on\n\n  and on\n", ["§ [s] L1-L5", "  · s.k L2-L3"]),
        ("a.ini", "k = v\n  l = w\nm: n\n", ["· k L1-L1", "· m L3-L3"]),
        ("a.properties", "a=1\\\n2\\\n 3\nb=4\n", ["· a L1-L3", "· b L4-L4"]),
        (".env", 'A="x\nB=1\n" # c\nC=2\n', ["· A L1-L3", "· C L4-L4"]),
        (".env", "A='x\nB=1\n", ["· A L1-L1", "· B L2-L2"]),
    ],
)
def test_an_entry_is_all_its_lines(path: str, source: str, rows: list[str]) -> None:
    assert block(path, source) == rows


@pytest.mark.parametrize("asked", ['s."a.b".c', "s.a.b.c", "c"])
def test_a_toml_key_is_found_without_its_quotes(asked: str) -> None:
    found = anchors.anchors_of("a.toml", decode(b'[s."a.b"]\nc = 1\n'))

    assert [one.target for one in anchors.find(found, asked)] == ['s."a.b".c']


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("a.json", '{"name":"app","dependencies":{"lodash":"4"}}',
         ["name", "dependencies", "dependencies.lodash"]),
        ("a.jsonc", '{// c\n"a": [1, {"b": 2}], /* d */ "c": {"d": {"e": 1}},}',
         ["a", "c", "c.d"]),
        ("a.json", '[{"a": 1}]', []),
        ("a.json", '{"a": 1, "b": ', ["a"]),
        ("a.yaml", "server:\n  port: 1\nredis:\n  url: u\n",
         ["server", "server.port", "redis", "redis.url"]),
        ("a.yml", "a: |\n  b: no\n---\na: 1\n", ["a#1", "a#2"]),
        ("a.toml", "[server]\nport = 1\n\n[[job]]\nn = 1\n\n[[job]]\nn = 2\n",
         ["[server]", "server.port", "[[job]]#1", "job.n#1", "[[job]]#2", "job.n#2"]),
        ("a.toml", 'x = """\n[no]\ny = 1\n"""\nz = [\n 1,\n]\n', ["x", "z"]),
        (".env", "export A=1\nB=2\n# C=3\n", ["A", "B"]),
        ("a.env", "A=1\n", ["A"]),
        ("a.ini", "[s]\nk = v\n; c = d\n", ["[s]", "s.k"]),
        ("LICENSE", "MIT LICENSE\n\ntext\n", ["MIT LICENSE"]),
        ("Makefile", "all:\n\tcc x\n", ["all:"]),
        ("x.xyz", "nothing here\n", []),
    ],
)  # fmt: skip
def test_the_targets_of_each_format(path: str, source: str, expected: list[str]) -> None:
    """humfs E30."""
    assert labels(path, source) == expected


def test_a_multi_line_value_is_one_anchor() -> None:
    assert block("a.toml", "[s]\nx = [\n  1,\n]\ny = 1\n") == [
        "§ [s] L1-L5",
        "  · s.x L2-L4",
        "  · s.y L5-L5",
    ]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("## Setup", ["## Setup"]),
        ("Setup", ["## Setup"]),
        ("# Title", ["# Title"]),
        ("Nope", []),
    ],
)
def test_a_target_is_found_as_shown_or_by_name(target: str, expected: list[str]) -> None:
    found = anchors.find(anchors.anchors_of("m.md", decode(M_MD.encode())), target)

    assert [one.label for one in found] == expected


def test_every_row_resolves_to_exactly_its_anchor() -> None:
    text = decode(b"[a]\nx = 1\n[a.b]\nx = 1\n[[c]]\n[[c]]\nx = 2\n")
    known = anchors.anchors_of("a.toml", text)

    for one in known:
        assert anchors.find(known, one.label) == [one]


@given(
    st.sampled_from(["a.md", "a.json", "a.toml", "a.ini", ".env", "a.yaml", "x"]),
    st.text(alphabet='ab{}[]":,=#-|\n \t"\'`.1', max_size=120),
)
def test_no_text_breaks_a_reader_of_anchors(path: str, source: str) -> None:
    text = decode(source.encode())

    for one in anchors.anchors_of(path, text):
        assert 0 <= one.span.start <= one.span.end <= len(text.source)
