"""Paths as text: containment, normal form, `~` and `cwd`. Nothing here says what is on disk.

All comparisons are by whole components, so `/r/app` does not contain `/r/app2`.
"""

from humfs.errors import Code, Refusal

PATH_BYTES_MAX = 4_096
"""Longest path asked for, in UTF-8 bytes."""


def components(path: str) -> list[str]:
    """The names of a path, without empty ones and `.`; `..` is kept."""
    return [part for part in path.split("/") if part not in ("", ".")]


def contains(directory: str, path: str) -> bool:
    """Whether `path` is `directory` or lies below it; both absolute and without `.` and `..`."""
    return directory == "/" or path == directory or path.startswith(directory + "/")


def below(directory: str, path: str) -> str:
    """`path` relative to `directory`, which contains it; `.` for the directory itself."""
    return path[len(directory.rstrip("/")) + 1 :] or "."


def join(directory: str, name: str) -> str:
    """`name` below `directory`, with one slash between."""
    return f"{directory.rstrip('/')}/{name}" if directory else name


def parent(path: str) -> str:
    """The directory an absolute path lies in; the root's is the root."""
    return path.rpartition("/")[0] or "/"


def normal(path: str) -> str:
    """An absolute path as written, with `.` and `..` taken out of the text."""
    kept: list[str] = []
    for part in components(path):
        if part != "..":
            kept.append(part)
        elif kept:
            kept.pop()
    return "/" + "/".join(kept)


def absolute(asked: str, *, cwd: str | None, home: str, first_root: str) -> str:
    """The absolute path a call means; raises `Refusal` for text that is no path.

    `~` and `~/...` start at the home directory. A relative path is taken below `cwd`, else below
    the first root.
    """
    if not asked or "\0" in asked or not _is_encodable(asked):
        raise Refusal(
            Code.BAD_ARGS,
            "file_path must be a path: not empty, without a NUL or half a character "
            "(a lone surrogate).",
            hint="Give a path such as src/app.py, a directory, or a glob such as src/**/*.py.",
        )
    if len(asked.encode("utf-8", "surrogateescape")) > PATH_BYTES_MAX:
        raise Refusal(Code.BAD_ARGS, f"file_path is longer than {PATH_BYTES_MAX} bytes.")
    if asked == "~" or asked.startswith("~/"):
        return home + asked[1:]
    if asked.startswith("/"):
        return asked
    return join(start_directory(cwd, home=home) or first_root, asked)


def start_directory(cwd: str | None, *, home: str) -> str | None:
    """The directory a call's `cwd` names, or None when it names none.

    A `hum://host/path` address stands for `/path` on this host.
    """
    if cwd is None or "\0" in cwd or not _is_encodable(cwd):
        return None
    if cwd.startswith("hum://"):
        return "/" + cwd[len("hum://") :].partition("/")[2]
    if cwd == "~" or cwd.startswith("~/"):
        return home + cwd[1:]
    return cwd if cwd.startswith("/") else None


def _is_encodable(text: str) -> bool:
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True
