"""Where hum keeps things, and what it refuses to keep them in (features A1, reliability A1)."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nest.paths import SOCKET_PATH_BYTES_MAX, Paths, ensure_private, expand_tilde
from thrum.errors import SettingsRefused


def test_without_xdg_variables_the_five_standard_roots_are_used() -> None:
    paths = Paths.from_environment({"HOME": "/home/ada"})

    assert paths.state == Path("/home/ada/.local/state/hum")
    assert paths.config == Path("/home/ada/.config/hum")
    assert paths.data == Path("/home/ada/.local/share/hum")
    assert paths.cache == Path("/home/ada/.cache/hum")
    assert paths.runtime == Path("/home/ada/.local/state/run/hum")


def test_xdg_variables_move_their_root_and_only_theirs() -> None:
    paths = Paths.from_environment({"HOME": "/home/ada", "XDG_STATE_HOME": "/s"})

    assert paths.state == Path("/s/hum")
    assert paths.config == Path("/home/ada/.config/hum")


@pytest.mark.parametrize("value", ["", "relative/state", "~/state"])
def test_an_empty_or_relative_root_counts_as_unset(value: str) -> None:
    paths = Paths.from_environment({"HOME": "/home/ada", "XDG_STATE_HOME": value})

    assert paths.state == Path("/home/ada/.local/state/hum")


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"HOME": "here"}])
def test_without_a_home_nothing_starts(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsRefused, match="HOME"):
        Paths.from_environment(environ)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "/home/ada/.local/state/hum/thrum.sock"),
        ({"HUM_SOCKET": "/old.sock"}, "/old.sock"),
        ({"HUM_THRUM_SOCK": "/new.sock", "HUM_SOCKET": "/old.sock"}, "/new.sock"),
        ({"HUM_THRUM_SOCK": "", "HUM_SOCKET": "/old.sock"}, "/old.sock"),
        ({"HUM_THRUM_SOCK": "~/hum.sock"}, "/home/ada/hum.sock"),
    ],
)
def test_the_socket_is_looked_up_in_the_order_of_the_wire(
    variables: dict[str, str], expected: str
) -> None:
    paths = Paths.from_environment({"HOME": "/home/ada", **variables})

    assert paths.thrum_socket == Path(expected)


def test_a_relative_socket_is_refused() -> None:
    with pytest.raises(SettingsRefused, match="HUM_THRUM_SOCK"):
        Paths.from_environment({"HOME": "/home/ada", "HUM_THRUM_SOCK": "hum.sock"})


@given(
    st.dictionaries(
        st.sampled_from(["XDG_STATE_HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "HUM_SOCKET"]),
        st.sampled_from(["", "/one", "/two/three"]),
    )
)
def test_a_child_given_our_environment_finds_the_same_paths(variables: dict[str, str]) -> None:
    ours = Paths.from_environment({"HOME": "/home/ada", **variables})

    theirs = Paths.from_environment(ours.environment())

    assert theirs.environment() == ours.environment()
    assert theirs.bus_socket == ours.bus_socket
    assert theirs.thrum_socket == ours.thrum_socket


def test_a_bus_socket_path_over_the_limit_is_refused_with_its_mend() -> None:
    paths = Paths.from_environment(
        {"HOME": "/home/ada", "XDG_STATE_HOME": f"/{'s' * 100}", "HUM_THRUM_SOCK": "/t.sock"}
    )

    with pytest.raises(SettingsRefused) as refused:
        paths.require_short_sockets()

    assert str(paths.bus_socket) in refused.value.message
    assert str(len(str(paths.bus_socket))) in refused.value.message
    assert str(SOCKET_PATH_BYTES_MAX) in refused.value.message
    assert "XDG_STATE_HOME" in refused.value.hint


def test_a_door_socket_path_over_the_limit_is_refused_with_its_mend() -> None:
    paths = Paths.from_environment({"HOME": "/home/ada", "HUM_THRUM_SOCK": f"/{'ä' * 60}"})

    with pytest.raises(SettingsRefused) as refused:
        paths.require_short_sockets()

    assert "121 bytes" in refused.value.message
    assert "HUM_THRUM_SOCK" in refused.value.hint


def test_a_socket_path_at_the_limit_is_taken() -> None:
    socket = f"/{'t' * (SOCKET_PATH_BYTES_MAX - 1)}"
    paths = Paths.from_environment({"HOME": "/home/ada", "HUM_THRUM_SOCK": socket})

    paths.require_short_sockets()


def test_links_are_offered_where_the_session_has_a_runtime_directory(tmp_path: Path) -> None:
    there = Paths.from_environment({"HOME": "/home/ada", "XDG_RUNTIME_DIR": str(tmp_path)})
    missing = Paths.from_environment({"HOME": "/home/ada", "XDG_RUNTIME_DIR": "/not/there"})

    assert tmp_path / "hum" / "thrum.sock" in there.socket_links()
    assert Path("/not/there/hum/thrum.sock") not in missing.socket_links()


def test_the_socket_is_no_link_to_itself(tmp_path: Path) -> None:
    socket = tmp_path / "hum" / "thrum.sock"
    environ = {"HOME": "/h", "XDG_RUNTIME_DIR": str(tmp_path), "HUM_THRUM_SOCK": str(socket)}

    assert socket not in Paths.from_environment(environ).socket_links()


@pytest.mark.parametrize("kind", ["", "../humd", "a/b", ".hidden", "a b", "a\n", "ä"])
def test_a_bee_cannot_name_a_key_outside_its_folder(kind: str) -> None:
    paths = Paths.from_environment({"HOME": "/home/ada"})

    with pytest.raises(ValueError, match="not a kind"):
        paths.bee_key(kind)


def test_two_bees_of_a_kind_have_two_keys() -> None:
    paths = Paths.from_environment({"HOME": "/home/ada"})

    assert paths.bee_key("scout").name == "scout.key"
    assert paths.bee_key("scout", "b").name == "scout-b.key"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("~", "/h"), ("~/a", "/h/a"), ("/a/~", "/a/~"), ("~ada/a", "~ada/a"), ("a", "a")],
)
def test_only_a_leading_tilde_is_expanded(text: str, expected: str) -> None:
    assert expand_tilde(text, Path("/h")) == Path(expected)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_private_directories_are_0700_under_any_umask(tmp_path: Path, umask: int) -> None:
    """Experience 5.36."""
    before = os.umask(umask)
    try:
        ensure_private(tmp_path / "a" / "b")
    finally:
        os.umask(before)

    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


def test_a_private_directory_is_left_as_it_is(tmp_path: Path) -> None:
    ensure_private(tmp_path / "a")
    (tmp_path / "a" / "file").write_text("kept")

    ensure_private(tmp_path / "a")

    assert (tmp_path / "a" / "file").read_text() == "kept"


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o777])
def test_a_directory_open_to_others_is_refused_not_repaired(tmp_path: Path, mode: int) -> None:
    directory = tmp_path / "open"
    directory.mkdir()
    directory.chmod(mode)

    with pytest.raises(SettingsRefused, match="chmod 700"):
        ensure_private(directory)

    assert directory.stat().st_mode & 0o777 == mode


def test_a_planted_link_is_refused(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(real)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")

    for planted in ("link", "dangling"):
        with pytest.raises(SettingsRefused, match="no link"):
            ensure_private(tmp_path / planted)

    assert not (tmp_path / "nowhere").exists()


def test_a_file_where_a_directory_belongs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch(mode=0o600)

    with pytest.raises(SettingsRefused, match="file"):
        ensure_private(tmp_path / "file")
    with pytest.raises(SettingsRefused, match="file"):
        ensure_private(tmp_path / "file" / "below")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    directory = tmp_path / "theirs"
    directory.mkdir(mode=0o700)
    os.chown(directory, 65_533, 65_533)

    with pytest.raises(SettingsRefused, match="65533"):
        ensure_private(directory)
