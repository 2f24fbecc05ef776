"""Acceptance examples of `humfs_do_code`: what a file holds before and after a call."""

from typing import NamedTuple


class Example(NamedTuple):
    """One call. `after` None: refused with `error`, and the file stays as it was."""

    row: str
    rule: str
    before: str | None
    args: dict[str, str]
    after: str | None
    error: str = ""


EXAMPLES = (
    Example(
        "E35",
        "replace a method, source indented as shown by read",
        ("class A:\n    def f(self):\n        return 1\n\n    def g(self):\n        return 2\n"),
        {
            "file_path": "a.py",
            "operation": "replace",
            "symbol": "A.f",
            "new_source": "    def f(self):\n        return 10\n",
        },
        ("class A:\n    def f(self):\n        return 10\n\n    def g(self):\n        return 2\n"),
    ),
    Example(
        "E36",
        "replace a method, dedented source",
        ("class A:\n    def f(self):\n        return 1\n\n    def g(self):\n        return 2\n"),
        {
            "file_path": "a.py",
            "operation": "replace",
            "symbol": "A.f",
            "new_source": "def f(self):\n    return 10",
        },
        ("class A:\n    def f(self):\n        return 10\n\n    def g(self):\n        return 2\n"),
    ),
    Example(
        "E37",
        "replace a method, only the first line stripped",
        ("class A:\n    def f(self):\n        return 1\n\n    def g(self):\n        return 2\n"),
        {
            "file_path": "a.py",
            "operation": "replace",
            "symbol": "A.f",
            "new_source": "def f(self):\n        return 10",
        },
        ("class A:\n    def f(self):\n        return 10\n\n    def g(self):\n        return 2\n"),
    ),
    Example(
        "E38",
        "multi-line string content is not re-indented",
        ('class A:\n    def f(self):\n        q = """\n  a\n    b\n"""\n        return q\n'),
        {
            "file_path": "a.py",
            "operation": "replace",
            "symbol": "A.f",
            "new_source": 'def f(self):\n    q = """\n  a\n    b\n"""\n    return q + "!"',
        },
        ('class A:\n    def f(self):\n        q = """\n  a\n    b\n"""\n        return q + "!"\n'),
    ),
    Example(
        "E39",
        "tab-indented file, source written with spaces",
        "package p\n\nfunc f() {\n\tif x {\n\t\ty()\n\t}\n}\n",
        {
            "file_path": "a.go",
            "operation": "replace",
            "symbol": "f",
            "new_source": "func f() {\n    if x {\n        z()\n    }\n}",
        },
        "package p\n\nfunc f() {\n\tif x {\n\t\tz()\n\t}\n}\n",
    ),
    Example(
        "E40",
        "decorator belongs to the symbol",
        "@cache\ndef f():\n    return 1\n\n\ndef g():\n    return 2\n",
        {
            "file_path": "a.py",
            "operation": "replace",
            "symbol": "f",
            "new_source": "@cache\ndef f():\n    return 3\n",
        },
        "@cache\ndef f():\n    return 3\n\n\ndef g():\n    return 2\n",
    ),
    Example(
        "E41",
        "delete a decorated function",
        "import os\n\n\n@cache\ndef f():\n    return 1\n\n\ndef g():\n    return 2\n",
        {"file_path": "a.py", "operation": "delete", "symbol": "f"},
        "import os\n\n\ndef g():\n    return 2\n",
    ),
    Example(
        "E42",
        "exported function",
        (
            'export function hello(): string {\n  return "hi";\n}\n\n'
            'export function bye(): string {\n  return "later";\n}\n'
        ),
        {
            "file_path": "a.ts",
            "operation": "replace",
            "symbol": "hello",
            "new_source": 'export function hello(): string {\n  return "howdy";\n}',
        },
        (
            'export function hello(): string {\n  return "howdy";\n}\n\n'
            'export function bye(): string {\n  return "later";\n}\n'
        ),
    ),
    Example(
        "E43",
        "ambiguous name on write",
        (
            '"""Doc."""\nimport os\nfrom typing import overload\n\nLIMIT = 10\n\n\n'
            '@decorator\ndef alpha(x, y=1):\n    """Say hi."""\n    return x\n\n\n'
            "class Outer:\n    size = 3\n\n    class Inner:\n        async def go(self):\n"
            "            return 1\n\n    @property\n    def name(self):\n"
            "        return self._n\n\n    @name.setter\n    def name(self, v):\n"
            "        self._n = v\n"
        ),
        {
            "file_path": "a.py",
            "operation": "replace",
            "symbol": "Outer.name",
            "new_source": "@property\ndef name(self):\n    return 1",
        },
        None,
        "symbol_ambiguous",
    ),
    Example(
        "E44",
        "Nth of a duplicated name",
        (
            "class A:\n    @property\n    def n(self):\n        return 1\n\n    @n.setter\n"
            "    def n(self, v):\n        pass\n"
        ),
        {
            "file_path": "a.py",
            "operation": "replace",
            "symbol": "A.n#2",
            "new_source": "@n.setter\ndef n(self, v):\n    self._n = v",
        },
        (
            "class A:\n    @property\n    def n(self):\n        return 1\n\n    @n.setter\n"
            "    def n(self, v):\n        self._n = v\n"
        ),
    ),
    Example(
        "E45",
        "nested class, async method",
        ("class Outer:\n    class Inner:\n        async def go(self):\n            return 1\n"),
        {
            "file_path": "a.py",
            "operation": "replace",
            "symbol": "Outer.Inner.go",
            "new_source": "async def go(self):\n    return 2",
        },
        ("class Outer:\n    class Inner:\n        async def go(self):\n            return 2\n"),
    ),
    Example(
        "E46",
        "Rust method by type",
        "struct P;\n\nimpl P {\n    fn new() -> Self {\n        P\n    }\n}\n",
        {
            "file_path": "a.rs",
            "operation": "replace",
            "symbol": "P.new",
            "new_source": "fn new() -> Self {\n    Self\n}",
        },
        "struct P;\n\nimpl P {\n    fn new() -> Self {\n        Self\n    }\n}\n",
    ),
    Example(
        "E47",
        "C++ function template inside a namespace",
        "namespace geo {\n\ntemplate <typename T>\nT sum(T a) {\n  return a;\n}\n\n}\n",
        {
            "file_path": "a.cpp",
            "operation": "replace",
            "symbol": "geo.sum",
            "new_source": "template <typename T>\nT sum(T a) {\n  return a + a;\n}",
        },
        "namespace geo {\n\ntemplate <typename T>\nT sum(T a) {\n  return a + a;\n}\n\n}\n",
    ),
    Example(
        "E48",
        "Go: one constant of a group",
        "package p\n\nconst (\n\tA = 1\n\tB = 2\n)\n",
        {"file_path": "a.go", "operation": "delete", "symbol": "B"},
        "package p\n\nconst (\n\tA = 1\n)\n",
    ),
    Example(
        "E49",
        "one of two declarators",
        "const a = 1, b = 2;\n",
        {"file_path": "a.ts", "operation": "delete", "symbol": "b"},
        "const a = 1;\n",
    ),
    Example(
        "E50",
        "Java annotated method",
        (
            "public class T {\n    @Override\n    public String toString() {\n"
            '        return "a";\n    }\n}\n'
        ),
        {
            "file_path": "T.java",
            "operation": "replace",
            "symbol": "T.toString",
            "new_source": '@Override\npublic String toString() {\n    return "b";\n}',
        },
        (
            "public class T {\n    @Override\n    public String toString() {\n"
            '        return "b";\n    }\n}\n'
        ),
    ),
    Example(
        "E51",
        "Ruby delete",
        "def foo\n  1\nend\n\ndef bar\n  2\nend\n",
        {"file_path": "t.rb", "operation": "delete", "symbol": "foo"},
        "def bar\n  2\nend\n",
    ),
    Example(
        "E52",
        "two functions on one line",
        "function a(){} function b(){}\n",
        {"file_path": "a.js", "operation": "delete", "symbol": "a"},
        "function b(){}\n",
    ),
    Example(
        "E53",
        "CRLF file keeps CRLF",
        "def a():\r\n    return 1\r\n\r\n\r\ndef b():\r\n    return 2\r\n",
        {
            "file_path": "a.py",
            "operation": "replace",
            "symbol": "a",
            "new_source": "def a():\n    return 10\n",
        },
        "def a():\r\n    return 10\r\n\r\n\r\ndef b():\r\n    return 2\r\n",
    ),
    Example(
        "E54",
        "no final newline stays so",
        "def a():\n    return 1",
        {
            "file_path": "a.py",
            "operation": "replace",
            "symbol": "a",
            "new_source": "def a():\n    return 2\n",
        },
        "def a():\n    return 2",
    ),
    Example(
        "E55",
        "byte order mark kept",
        "\ufeffdef a():\n    return 1\n",
        {
            "file_path": "a.py",
            "operation": "replace",
            "symbol": "a",
            "new_source": "def a():\n    return 2\n",
        },
        "\ufeffdef a():\n    return 2\n",
    ),
    Example(
        "E56",
        "non-ASCII names and text",
        "def größe():\n    return '日本'\n",
        {
            "file_path": "a.py",
            "operation": "replace",
            "symbol": "größe",
            "new_source": "def größe():\n    return '東京'\n",
        },
        "def größe():\n    return '東京'\n",
    ),
    Example(
        "E57",
        "insert after, top level",
        "function foo() { return 1; }\n",
        {
            "file_path": "a.ts",
            "operation": "insert_after",
            "symbol": "foo",
            "new_source": "function bar() { return 2; }",
        },
        "function foo() { return 1; }\n\nfunction bar() { return 2; }\n",
    ),
    Example(
        "E58",
        "insert before",
        "function foo() { return 1; }\n",
        {
            "file_path": "a.ts",
            "operation": "insert_before",
            "symbol": "foo",
            "new_source": 'const PREFIX = "x";',
        },
        'const PREFIX = "x";\n\nfunction foo() { return 1; }\n',
    ),
    Example(
        "E59",
        "Python top level keeps two blank lines",
        "def a():\n    return 1\n\n\ndef b():\n    return 2\n",
        {
            "file_path": "a.py",
            "operation": "insert_after",
            "symbol": "a",
            "new_source": "def c():\n    return 3\n",
        },
        "def a():\n    return 1\n\n\ndef c():\n    return 3\n\n\ndef b():\n    return 2\n",
    ),
    Example(
        "E60",
        "insert between methods",
        ("class A:\n    def f(self):\n        return 1\n\n    def g(self):\n        return 2\n"),
        {
            "file_path": "a.py",
            "operation": "insert_after",
            "symbol": "A.f",
            "new_source": "def h(self):\n    return 3",
        },
        (
            "class A:\n    def f(self):\n        return 1\n\n    def h(self):\n"
            "        return 3\n\n    def g(self):\n        return 2\n"
        ),
    ),
    Example(
        "E61",
        "insert after the last symbol of a file without final newline",
        "def a():\n    return 1",
        {
            "file_path": "a.py",
            "operation": "insert_after",
            "symbol": "a",
            "new_source": "def b():\n    return 2\n",
        },
        "def a():\n    return 1\n\n\ndef b():\n    return 2",
    ),
    Example(
        "E62",
        "insert a one-line sibling next to one-line siblings",
        "const a = 1;\nconst c = 3;\n",
        {
            "file_path": "a.ts",
            "operation": "insert_after",
            "symbol": "a",
            "new_source": "const b = 2;",
        },
        "const a = 1;\nconst b = 2;\nconst c = 3;\n",
    ),
    Example(
        "E63",
        "delete the middle of three",
        (
            "function foo() { return 1; }\n\nfunction bar() { return 2; }\n\n"
            "function baz() { return 3; }\n"
        ),
        {"file_path": "a.ts", "operation": "delete", "symbol": "bar"},
        "function foo() { return 1; }\n\nfunction baz() { return 3; }\n",
    ),
    Example(
        "E64",
        "imports block replaced",
        "use std::fs;\nuse std::io;\n\nfn alpha() {}\n",
        {
            "file_path": "a.rs",
            "operation": "replace",
            "symbol": "imports",
            "new_source": "use std::path::PathBuf;\nuse std::collections::HashMap;",
        },
        "use std::path::PathBuf;\nuse std::collections::HashMap;\n\nfn alpha() {}\n",
    ),
    Example(
        "E65",
        "imports added to",
        "import os\n\n\ndef f():\n    pass\n",
        {
            "file_path": "a.py",
            "operation": "insert_after",
            "symbol": "imports",
            "new_source": "import re",
        },
        "import os\nimport re\n\n\ndef f():\n    pass\n",
    ),
    Example(
        "E66",
        "imports created where there were none",
        '#!/usr/bin/env python3\n"""Doc."""\n\n\ndef f():\n    pass\n',
        {
            "file_path": "a.py",
            "operation": "insert_after",
            "symbol": "imports",
            "new_source": "import re",
        },
        '#!/usr/bin/env python3\n"""Doc."""\n\nimport re\n\n\ndef f():\n    pass\n',
    ),
    Example(
        "E67",
        "sub-symbol body",
        "fn alpha() {\n    let x = 1;\n}\nfn beta() {}\n",
        {
            "file_path": "a.rs",
            "operation": "replace",
            "symbol": "alpha.body",
            "new_source": "{ let y = 42; }",
        },
        "fn alpha() { let y = 42; }\nfn beta() {}\n",
    ),
    Example(
        "E68",
        "Python body by alias is re-indented",
        "def f(x):\n    if x:\n        return 1\n    return 2\n",
        {
            "file_path": "w2.py",
            "operation": "replace",
            "symbol": "f.when.body",
            "new_source": "log(x)\nreturn 3",
        },
        "def f(x):\n    if x:\n        log(x)\n        return 3\n    return 2\n",
    ),
    Example(
        "E69",
        "create",
        None,
        {"file_path": "new/dir/c.ts", "operation": "create", "new_source": "export const x = 1;\n"},
        "export const x = 1;\n",
    ),
    Example(
        "E70",
        "create over an existing file",
        "const x = 1;",
        {"file_path": "a.ts", "operation": "create", "new_source": "// overwrite"},
        None,
        "exists",
    ),
    Example(
        "E71",
        "create with broken syntax",
        None,
        {"file_path": "bad.ts", "operation": "create", "new_source": "function x( { return ;;"},
        None,
        "syntax",
    ),
    Example(
        "E72",
        "replace that breaks the file",
        "function foo() { return 1; }\n",
        {
            "file_path": "a.ts",
            "operation": "replace",
            "symbol": "foo",
            "new_source": "function foo( { ;;;",
        },
        None,
        "syntax",
    ),
    Example(
        "E73",
        "Python error the grammar does not see",
        "class A:\n    def f(self):\n        return 1\n",
        {"file_path": "a.py", "operation": "delete", "symbol": "A.f"},
        None,
        "syntax",
    ),
    Example(
        "E74",
        "body pasted in place of a declaration",
        ("class A:\n    def f(self):\n        return 1\n\n    def g(self):\n        return 2\n"),
        {"file_path": "a.py", "operation": "replace", "symbol": "A.f", "new_source": "return 10"},
        None,
        "not_a_declaration",
    ),
    Example(
        "E75",
        "file that already had an error elsewhere",
        "package p\n\nfunc g() {\n\tuse(new(int(3)))\n}\n\nfunc f() {\n\ty()\n}\n",
        {
            "file_path": "a.go",
            "operation": "replace",
            "symbol": "f",
            "new_source": "func f() {\n\tz()\n}",
        },
        "package p\n\nfunc g() {\n\tuse(new(int(3)))\n}\n\nfunc f() {\n\tz()\n}\n",
    ),
    Example(
        "E76",
        "whole-file replace",
        "const x = 1;\nconst y = 2;\n",
        {"file_path": "a.ts", "operation": "replace", "new_source": "export const Z = 42;\n"},
        "export const Z = 42;\n",
    ),
    Example(
        "E77",
        "replace on a missing file",
        None,
        {"file_path": "ghost.ts", "operation": "replace", "new_source": "const x = 1;"},
        None,
        "not_found",
    ),
    Example(
        "E78",
        "unknown symbol",
        "function handle() {}\n",
        {
            "file_path": "a.ts",
            "operation": "replace",
            "symbol": "handel",
            "new_source": "function handel() {}",
        },
        None,
        "symbol_not_found",
    ),
    Example(
        "E79",
        "non-code file",
        "# hi\n",
        {"file_path": "readme.md", "operation": "replace", "new_source": "# bye\n"},
        None,
        "wrong_tool",
    ),
    Example(
        "E80",
        "unknown operation",
        "const a = 1;\n",
        {"file_path": "a.ts", "operation": "upsert", "symbol": "a", "new_source": "const a = 2;"},
        None,
        "bad_args",
    ),
    Example(
        "E81",
        "no change",
        ("class A:\n    def f(self):\n        return 1\n\n    def g(self):\n        return 2\n"),
        {
            "file_path": "a.py",
            "operation": "replace",
            "symbol": "A.f",
            "new_source": "    def f(self):\n        return 1\n",
        },
        None,
        "no_change",
    ),
)
