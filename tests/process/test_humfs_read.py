"""`humfs_read` on real directories: the acceptance examples of reading (humfs 12.1, 12.2)."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.humfs.examples import A_PY, A_PY_OUTLINE, M_MD, W_PY

from humfs.edge.roots import Roots
from humfs.edge.watch import Watch
from humfs.errors import Code, Refusal
from humfs.tools.read import Read
from humfs.tools.tool import Call, Result

pytestmark = pytest.mark.process

Reader = Callable[..., Result]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, content in (("a.py", A_PY), ("w.py", W_PY), ("m.md", M_MD), ("empty.py", "")):
        (tmp_path / name).write_text(content)
    return tmp_path


@pytest.fixture
def read(root: Path) -> Reader:
    tool = Read(Roots([(str(root), "rw")], [], home=str(root)))

    def run(file_path: str, *, seconds: float = 9.0, **args: str) -> Result:
        call = Call(
            sid="s", call_id="c", tool="humfs_read", args={"file_path": file_path, **args}, cwd=None
        )
        result = tool.run(call, Watch(seconds))
        assert len(result.output) <= 7_500
        return result

    return run


def refusal(read: Reader, file_path: str, **args: str) -> Refusal:
    with pytest.raises(Refusal) as refused:
        read(file_path, **args)
    return refused.value


def test_a_file_shows_its_outline_and_its_content(read: Reader, root: Path) -> None:
    """humfs E01."""
    result = read(str(root / "a.py"))

    assert f"outline:\n{A_PY_OUTLINE}\ncontent:\n     1\t" in result.output
    assert result.title == str(root / "a.py")
    assert result.metadata["language"] == "python"
    assert result.metadata["symbols"] == 8
    assert result.metadata["lines"] == 27
    assert len(result.metadata["sha256"]) == 64


def test_an_empty_file_is_no_error(read: Reader) -> None:
    """humfs E09."""
    output = read("empty.py").output

    assert "[0 bytes, 0 lines]\n[python — 0 symbol(s)]\noutline:\n(no symbols detected)" in output


def test_a_symbol_is_shown_as_it_would_be_replaced(read: Reader) -> None:
    """humfs E11."""
    output = read("a.py", symbol="Outer.name#2").output

    assert output == (
        "=== a.py — 'Outer.name#2' (L25-L27) ===\n"
        "    25\t    @name.setter\n    26\t    def name(self, v):\n    27\t        self._n = v"
    )


def test_several_candidates_are_all_shown(read: Reader) -> None:
    """humfs E12."""
    output = read("a.py", symbol="Outer.name").output

    assert "'Outer.name#1' (L21-L23)" in output
    assert "'Outer.name#2' (L25-L27)" in output


SAMPLES = Path(__file__).parents[1] / "unit" / "humfs" / "outlines"


@pytest.mark.parametrize(
    ("sample", "symbol", "places"),
    [
        pytest.param("overloads.ts", "add", ["L3-L8"], id="E14"),
        pytest.param("receiver.go", "Server.Start", ["L14-L18"], id="E15"),
        pytest.param("receiver.go", "Start", ["L14-L18"], id="E15 by its bare name"),
        pytest.param("impl.rs", "Point.new", ["L10-L12"], id="E16"),
        pytest.param("impl.rs", "Point", ["L3-L7"], id="E16 the struct"),
        pytest.param("impl.rs", "impl Point", ["L9-L13"], id="E16 its block"),
    ],
)
def test_a_symbol_of_another_language_is_shown_in_one_section(
    read: Reader, root: Path, sample: str, symbol: str, places: list[str]
) -> None:
    """humfs E14 to E16."""
    shutil.copy(SAMPLES / sample, root)

    output = read(sample, symbol=symbol).output

    headers = [line for line in output.split("\n") if line.startswith("===")]
    assert [header.rpartition("(")[2].partition(")")[0] for header in headers] == places
    first, last = (int(one[1:]) for one in places[0].split("-"))
    lines = (SAMPLES / sample).read_text().splitlines()[first - 1 : last]
    shown = [line.partition("\t")[2] for line in output.split("\n")[1:]]
    assert shown == lines


def bytes_read() -> int:
    """What this process has read so far."""
    return int(Path("/proc/self/io").read_text().split()[1])


def test_lines_of_a_huge_file_are_shown_without_reading_it_all(read: Reader, root: Path) -> None:
    with (root / "huge.log").open("wb") as log:
        log.writelines(b"line %d\r\n" % at for at in range(1, 60_001))
        log.truncate(2_000_000_000)
    before = bytes_read() if Path("/proc/self/io").exists() else 0

    output = read("huge.log", symbol="L50000-L50002").output

    if before:
        assert bytes_read() - before < 4_000_000
    assert output == (
        "=== huge.log — from L50000 ===\n 50000\tline 50000\n 50001\tline 50001\n 50002\tline 50002"
    )


def test_lines_that_do_not_fit_are_announced_and_lines_that_are_not_there_refused(
    read: Reader, root: Path
) -> None:
    (root / "long.txt").write_text("x" * 50 + "\n" + ("y" * 60 + "\n") * 500)
    (root / "wide.txt").write_bytes("\ufeffä\nb\n".encode("utf-16-le"))

    result = read("long.txt", symbol="L1-L501")
    wide = read("wide.txt", symbol="L2-L9")
    refused = refusal(read, "long.txt", symbol="L502-L600")

    left = result.output.rsplit('ask for "', 1)[1].split('"')[0]
    assert result.metadata["truncated"]
    assert left == f"L{result.output.count(chr(9)) + 1}-L501"
    assert wide.output == "=== wide.txt — from L2 ===\n     2\tb"
    assert refused.code is Code.SYMBOL_NOT_FOUND


def test_a_query_shows_the_best_results_first(read: Reader, root: Path) -> None:
    """humfs E20."""
    names = ("handleRequest", "handle", "rehandle", "hxaxnxdxlxe", "other")
    (root / "q.py").write_text("".join(f"def {name}(): ...\n" for name in names))

    output = read("q.py", query="handle").output

    headers = [line for line in output.split("\n") if line.startswith("===")]
    assert [header.split()[4] for header in headers] == [
        "handle",
        "handleRequest",
        "rehandle",
        "hxaxnxdxlxe",
    ]


def test_a_pattern_names_the_enclosing_symbol_also_with_crlf(read: Reader, root: Path) -> None:
    """humfs E21."""
    source = b"import os\r\n\r\nclass A:\r\n    def f(self):\r\n        return os.sep\r\n"
    (root / "p.py").write_bytes(source)

    assert read("p.py", pattern="os").output.split("\n") == [
        "[2 match(es) across 1 file(s)]",
        "p.py:1\timport os",
        "p.py:5 [method A.f]\t        return os.sep",
    ]
    assert "p.py:4 [method A.f]\t" in read("p.py", pattern="def f").output
    assert read("p.py", pattern="sep$").metadata["hits"] == 1


def test_a_pattern_that_would_backtrack_for_ever_just_finds_nothing(
    read: Reader, root: Path
) -> None:
    """humfs E22."""
    (root / "z.txt").write_text("a" * 40 + "!\n")

    assert read("z.txt", pattern="(a+)+$").metadata["hits"] == 0


def test_a_pattern_over_a_huge_file_ends_with_its_time(read: Reader, root: Path) -> None:
    """humfs 5.9."""
    (root / "z.txt").write_bytes(b"ab" * 1_000_000 + b"\n")

    result = read("z.txt", pattern="zz", seconds=0.0)

    assert "[incomplete: out of time" in result.output


def test_no_hit_is_no_error(read: Reader) -> None:
    """humfs E23."""
    result = read("a.py", pattern="zzz")

    assert not result.is_error
    assert (result.metadata["hits"], result.metadata["targets"]) == (0, 1)


def test_two_modifiers_are_refused(read: Reader) -> None:
    """humfs E24."""
    assert refusal(read, "a.py", symbol="alpha", pattern="x").code is Code.BAD_ARGS


def test_globs_find_these_files_newest_first(read: Reader, root: Path) -> None:
    """humfs E25."""
    names = ("a.ts", "b/c.ts", "b/d.py", "node_modules/x.ts", ".hid/y.ts", ".dot.ts")
    for at, name in enumerate(names):
        path = root / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x\n")
        os.utime(path, (at, at))

    def found(pattern: str) -> list[str]:
        rows = [row for row in read(pattern).output.split("\n") if "L " in row]
        return [row.split("src/")[1] for row in rows]

    assert found(f"{root}/src/**/*.ts") == [".dot.ts", "b/c.ts", "a.ts"]
    assert found("src/*.ts") == [".dot.ts", "a.ts"]
    assert found("src/**/{c,d}.*") == ["b/d.py", "b/c.ts"]
    assert read("src/?.ts").output.startswith("=== src/a.ts ===")
    assert found("src/*/x.ts") == []
    assert read("src/node_modules/*").output.startswith("=== src/node_modules/x.ts ===")


def test_brackets_are_literal(read: Reader, root: Path) -> None:
    """humfs E26."""
    path = root / "app/[id]/page.tsx"
    path.parent.mkdir(parents=True)
    path.write_text("page\n")

    assert "     1\tpage" in read(str(path)).output
    assert "     1\tpage" in read(f"{root}/app/**/[id]/*.tsx").output


def test_an_existing_path_wins_over_its_reading_as_a_glob(read: Reader, root: Path) -> None:
    """humfs 5.2."""
    (root / "a*b").write_text("literal\n")
    (root / "axb").write_text("other\n")

    assert "literal" in read("a*b").output


def test_too_many_files_are_shown_as_totals(read: Reader, root: Path) -> None:
    """humfs E27."""
    for directory, count in (("many/one", 150), ("many/two/deep/er", 100)):
        (root / directory).mkdir(parents=True)
        for at in range(count):
            (root / directory / f"{at}.txt").write_text("12345")

    result = read("many")

    assert result.output.split("\n")[:3] == [
        "=== 250 files ===",
        "     150 files          750b many/one",
        "     100 files          500b many/two/deep",
    ]
    assert "glob" in result.output
    assert result.metadata["truncated"]


@pytest.mark.parametrize("name", ["Dockerfile", "LICENSE", "x.lock", "x.xyz", "x.go"])
def test_unknown_types_are_shown_whole(read: Reader, root: Path, name: str) -> None:
    """humfs E28."""
    (root / name).write_text("some words here\n" * 100)

    output = read(name).output

    assert "\ncontent:\n     1\tsome words here\n" in output
    assert output.endswith("   100\tsome words here")


def test_markdown_shows_its_anchors_and_reads_by_them(read: Reader) -> None:
    """humfs E29."""
    rows = "§ # Title L1-L15\n  § ## Setup L5-L15\n    § ### Advanced L13-L15"

    assert f"anchors:\n{rows}\ncontent:" in read("m.md").output
    assert read("m.md", symbol="### Advanced").output.startswith(
        "=== m.md — '### Advanced' (L13-L15) ===\n    13\t### Advanced"
    )


def test_a_binary_file_shows_its_first_bytes_and_is_skipped_by_patterns(
    read: Reader, root: Path
) -> None:
    """humfs E31."""
    (root / "b.bin").write_bytes(b"\0\x01needle" * 512)

    result = read("b.bin")
    searched = read(".", pattern="needle")

    assert result.metadata["binary"] is True
    assert result.output.count("\n") <= 18
    assert "00 01 6e" in result.output
    assert searched.metadata == {"hits": 0, "targets": 5, "skipped": 1, "truncated": False}


def test_a_large_image_is_one_line(read: Reader, root: Path) -> None:
    """humfs E32."""
    (root / "p.png").write_bytes(b"\x89PNG\r\n\x1a\n".ljust(2_000_000, b"\0"))
    (root / "s.png").write_bytes(b"\x89PNG")

    assert read("p.png").output == "[image:image/png, 2000000 bytes]"
    assert read("p.png").metadata["mime"] == "image/png"
    assert read("s.png").output == "[image:image/png, 4 bytes]\niVBORw=="


def test_a_huge_text_file_is_searched_in_pieces(read: Reader, root: Path) -> None:
    """humfs E33, smaller."""
    lines = ["all is well, nothing to see in this line"] * 200_000
    for at in (0, 99_999, 199_999):
        lines[at] = "ERROR here"
    (root / "big.log").write_text("\n".join(lines))

    assert read("big.log", pattern="ERROR").output.split("\n") == [
        "[3 match(es) across 1 file(s)]",
        "big.log:1\tERROR here",
        "big.log:100000\tERROR here",
        "big.log:200000\tERROR here",
    ]
    assert read("big.log").metadata["lines"] == 200_000


def test_a_line_longer_than_a_piece_is_still_searched(read: Reader, root: Path) -> None:
    (root / "min.js").write_text("x" * 3_000_000 + "needle" + "y" * 100 + "\nsecond\n")

    assert "min.js:1\t(+" in read("min.js", pattern="needle").output
    assert "min.js:2\tsecond" in read("min.js", pattern="second").output


def test_many_hits_come_down_the_ladder_to_places_and_a_count(read: Reader, root: Path) -> None:
    """humfs 5.9."""
    (root / "few.py").write_text("def f():\n" + "    needle = 'x' * 1  # padding padding\n" * 150)
    (root / "lots.txt").write_text("needle\n" * 5_000)

    few, lots = read("few.py", pattern="needle"), read("lots.txt", pattern="needle")

    assert few.output.startswith("[150 match(es) across 1 file(s)]\nfew.py:2 [fn f]")
    assert few.output.endswith("few.py:151 [fn f]")
    assert lots.output.startswith("[5000 match(es) across 1 file(s)]\nlots.txt:1\n")
    assert "more match(es), not shown" in lots.output


def test_a_missing_path_names_similar_ones(read: Reader, root: Path) -> None:
    """humfs 5.2."""
    refused = refusal(read, "b.py")

    assert refused.code is Code.NOT_FOUND
    assert "does not exist" in refused.message
    assert "a.py" in refused.hint
    assert str(root) in refusal(read, "no/such/dir/*.py").hint


def test_a_missing_symbol_names_the_nearest(read: Reader) -> None:
    refused = refusal(read, ".", symbol="alhpa")

    assert refused.code is Code.SYMBOL_NOT_FOUND
    assert "not found" in refused.message
    assert "fn alpha (L8-L11 of ./a.py)" in refused.hint


def test_a_missing_anchor_names_the_nearest(read: Reader) -> None:
    assert "## Setup (L5-L15)" in refusal(read, "m.md", symbol="## Setpu").hint


def test_a_query_without_a_result_is_refused_with_the_nearest(read: Reader) -> None:
    refused = refusal(read, "a.py", query="xouter")

    assert refused.code is Code.SYMBOL_NOT_FOUND
    assert "class Outer" in refused.hint


def test_code_without_a_grammar_has_content_and_no_symbols(read: Reader, root: Path) -> None:
    (root / "x.sql").write_text("select 1;\n")

    assert 'search it with "pattern"' in refusal(read, "x.sql", symbol="main").hint


def test_what_does_not_fit_is_named_and_counted(read: Reader, root: Path) -> None:
    """humfs 3.8, 5.8."""
    body = "    return 'a line of some length, so that few of these fit an answer'\n" * 6
    for at in range(400):
        (root / f"module_{at:03}.py").write_text(f"def run_{at:03}():\n{body}def same():\n{body}")

    query, symbol = read("*.py", query="run_"), read(".", symbol="same")

    assert query.metadata["hits"] == symbol.metadata["hits"] == 400
    assert query.output.startswith("=== module_000.py — fn run_000 (L1-L7) ===\n     1\tdef run")
    for output in (query.output, symbol.output):
        assert " more, not shown; narrow file_path" in output
        assert output.count("===\n") > 5


def test_of_a_huge_symbol_without_members_the_first_lines_are_shown(
    read: Reader, root: Path
) -> None:
    (root / "long.py").write_text("def f():\n" + "    do_something_with_a_long_name()\n" * 500)

    output = read("long.py", symbol="f").output

    assert output.startswith("=== long.py — 'f' (L1-L501) ===\n     1\tdef f():")
    assert "[501 lines, too long to show" in output


def test_a_symbol_is_searched_in_every_file(read: Reader, root: Path) -> None:
    (root / "other.py").write_text("def alpha(): ...\n")

    output = read("*.py", symbol="alpha").output

    assert "a.py — 'alpha' (L8-L11)" in output
    assert "other.py — 'alpha' (L1-L1)" in output


def test_a_file_over_the_symbol_bound_is_refused_for_symbols_only(read: Reader, root: Path) -> None:
    """humfs 3.4."""
    (root / "huge.py").write_text("x = 1\n" * 1_000_000)

    assert refusal(read, "huge.py", symbol="x").code is Code.TOO_LARGE
    assert "[over 5242880 bytes: not parsed]" in read("huge.py").output
    assert read("*.py", symbol="alpha").metadata["skipped"] == 1


def test_utf16_is_read_and_searched(read: Reader, root: Path) -> None:
    """humfs 3.1."""
    (root / "u.py").write_bytes("def f():\n    return 'é'\n".encode("utf-16"))

    assert "fn f() L1-L2" in read("u.py").output
    assert "u.py:2 [fn f]\t" in read("u.py", pattern="é").output


def test_unknown_arguments_are_named_back(read: Reader) -> None:
    assert read("a.py", limit="5").metadata["ignoredArgs"] == ["limit"]


def test_a_directory_lists_hidden_files_but_enters_no_skipped_directory(
    read: Reader, root: Path
) -> None:
    """humfs 5.4."""
    for name in (".env", ".git/config", "build/x", "sub/y", "__pycache__/z"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("1\n")

    rows = read(str(root)).output.split("\n")

    listed = [row.split("L ", 1)[1].removeprefix(f"{root}/") for row in rows if "L " in row]
    assert listed == [".env", "a.py", "empty.py", "m.md", "sub/y", "w.py"]
    assert "build/x" in read("build").output
    assert "       338b     27L " in "\n".join(rows)


def test_escapes_in_a_file_reach_nobody(read: Reader, root: Path) -> None:
    (root / "esc.txt").write_text("\x1b[2Jgone\n")

    assert "\\x1b[2Jgone" in read("esc.txt").output
    assert "\\x1b[2Jgone" in read("esc.txt", pattern="gone").output


def test_a_search_that_is_cancelled_ends(root: Path) -> None:
    """humfs 1.5."""
    watch = Watch()
    watch.cancel()
    call = Call(sid="s", call_id="c", tool="humfs_read", args={"file_path": ".", "pattern": "x"})

    with pytest.raises(Refusal) as refused:
        Read(Roots([(str(root), "rw")], [], home="/")).run(call, watch)

    assert refused.value.code is Code.CANCELLED


def test_out_of_time_a_search_says_how_far_it_got(read: Reader) -> None:
    output = read(".", pattern="def", seconds=0.0).output

    assert "[incomplete: " in output
