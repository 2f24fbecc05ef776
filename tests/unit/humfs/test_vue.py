"""Component files composed by offset (humfs 7.7, E10, E82; features E5).

A file is put together from blocks whose rows are known by themselves. Wherever a block stands, its
rows are the same, moved by the lines above it.
"""

import random
import re

import pytest

from humfs.core import lookup, views
from humfs.core.languages import language_of
from humfs.core.symbols import Outline
from humfs.core.text import decode

SCRIPTS = [
    ("<script>\nexport default { data() { return {} } }\n</script>\n",
     ["script L1-L3", "  const default L2-L2", "    method data() L2-L2"]),
    ('<script setup lang="ts">\nimport { a } from "b"\nconst n: number = 1\n</script>\n',
     ["script L1-L4", "  imports L2-L2", "  const n L3-L3"]),
    ('<script lang="tsx">\nconst View = () => <p>{1 < 2}</p>\n</script>\n',
     ["script L1-L3", "  fn View() L2-L2"]),
    ("<script lang='js' setup>\n// </template> {{\nfunction go(x) {}\n</script>\n",
     ["script L1-L4", "  fn go(x) L2-L3"]),
    ('<script lang="coffee">\nsquare = (x) -> x\n</script>\n', ["script L1-L3"]),
    ("<script src='./x.js' />\n", ["script L1-L1"]),
]  # fmt: skip
TEMPLATES = [
    ('<template>\n  <div id="app">{{ a < b ? "<p>" : "" }}</div>\n</template>\n',
     ["template L1-L3", "  element div#app L2-L2"]),
    ("<template>\n  <Link><Input>x</Input></Link>\n  <br>\n  <b/>\n</template>\n",
     ["template L1-L5", "  element Link L2-L2", "    element Input L2-L2", "  element br L3-L3",
      "  element b L4-L4"]),
    ("<template>\n<template v-if='a > 1'><i/></template>\n<template #b/>\n</template>\n",
     ["template L1-L4", "  element template#1 L2-L2", "    element i L2-L2",
      "  element template#2 L3-L3"]),
    ('<template lang="pug">\ndiv\n  p < 1\n</template>\n', ["template L1-L4"]),
    ("<template>\n<!-- <template> -->\n<p :id='x' id='9'>é{{ `}` }}</p>\n</template>\n",
     ["template L1-L4", "  element p L2-L3"]),
    ("<template></template>\n", ["template L1-L1"]),
]  # fmt: skip
STYLES = [
    ("<style>\n.a { top: 0 }\n</style>\n", ["style L1-L3", "  rule a L2-L2"]),
    ('<style scoped lang="scss">\n.a { &:hover { top: 0 } .b { top: 0 } }\n</style>\n',
     ["style L1-L3", "  rule a L2-L2", "    rule &:hover L2-L2", "    rule b L2-L2"]),
    ("<style>\n/* it */\n#h, p > q { top: 0 }\n@media (w: 1px) { .c.d { top: 0 } }\n</style>\n",
     ["style L1-L5", "  rule #h, p > q L2-L3", "  atrule @media (w: 1px) L4-L4",
      "    rule c.d L4-L4"]),
    ('<style lang="stylus">\n.a\n  top 0\n</style>\n', ["style L1-L4"]),
    ("<style>\n</style>\n", ["style L1-L2"]),
]  # fmt: skip
OTHERS = [
    ("<i18n>\n{ \"a\": \"<template>\" }\n</i18n>\n", ["element i18n L1-L3"]),
    ("<!-- <script> -->\n", []),
    ("\r\n", []),
]  # fmt: skip
FILES = 50


def outlined(source: str) -> Outline:
    language = language_of("x.vue")
    assert language is not None
    return language.outline(source.encode())


def moved(row: str, above: int) -> str:
    return re.sub(r"L(\d+)", lambda at: f"L{int(at[1]) + above}", row)


def composed(seed: int) -> tuple[str, list[str]]:
    """A file of blocks in any order, and its rows."""
    chance = random.Random(seed)
    blocks = [chance.choice(some) for some in (SCRIPTS, TEMPLATES, STYLES, OTHERS)]
    chance.shuffle(blocks)
    source, rows = "", list[str]()
    for text, block in blocks:
        rows += [moved(row, source.count("\n")) for row in block]
        source += text
    return source, rows


@pytest.mark.parametrize("seed", range(FILES))
def test_blocks_keep_their_rows_wherever_they_stand(seed: int) -> None:
    """Features E5."""
    source, rows = composed(seed)
    outline, text = outlined(source), decode(source.encode())

    assert views.outline_block(outline, text)[0].split("\n") == rows
    for symbol in outline:
        assert [match.symbol for match in lookup.find(outline, symbol.address)] == [symbol]


PAGE = (
    '<script>\nimport a from "a"\nexport default {}\n</script>\n'
    '<script setup lang="ts">\nimport b from "b"\nconst go = () => run()\n</script>\n'
    '<template>\n  <ul id="list"><li>1</li><li id="two"><b>2</b></li></ul>\n'
    "  <b>3</b>\n</template>\n"
    "<style>\n.foo.bar { top: 0 }\n.foo { .bar { top: 1px } }\n"
    "@media (min-width: 1.5em) { .foo { top: 2px } }\n</style>\n"
    "<style>\n.last { top: 0 }\n</style>\n"
)


@pytest.mark.parametrize(
    ("path", "lines"),
    [
        ("script", ["L5-L8"]),
        ("script#2", ["L1-L4"]),
        ("script.imports", ["L6-L6"]),
        ("script#2.imports", ["L2-L2"]),
        ("imports", ["L6-L6"]),
        ("script.go", ["L7-L7"]),
        ("script.go.call", ["L7-L7"]),
        ("go.body", ["L7-L7"]),
        ("template.ul#list", ["L10-L10"]),
        ("template.li#two", ["L10-L10"]),
        ("template.b#2", ["L11-L11"]),
        ("template.ul#list.li#two.b", ["L10-L10"]),
        ("template.li", ["L10-L10", "L10-L10"]),
        ("style", ["L13-L17"]),
        ("style#2", ["L18-L20"]),
        ("style.last", ["L19-L19"]),
        ("style.foo.bar", ["L15-L15"]),
        ("style.@media (min-width: 1.5em).foo", ["L16-L16"]),
        ("style.nothing", []),
        ("template.b#3", []),
    ],
)
def test_a_path_goes_through_the_block(path: str, lines: list[str]) -> None:
    outline, text = outlined(PAGE), decode(PAGE.encode())

    assert [views.place(text, match.span) for match in lookup.find(outline, path)] == lines


@pytest.mark.parametrize(
    "source",
    [
        "<script>",
        "<template><div",
        "<style>.a {",
        "<template>{{ a",
        "<script lang=",
        "<",
        "</style>",
    ],
)
def test_a_torn_file_still_has_an_outline(source: str) -> None:
    for symbol in outlined(source):
        assert 0 <= symbol.full.start <= symbol.full.end <= len(source)
