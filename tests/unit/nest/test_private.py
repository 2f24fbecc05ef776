"""Files nobody else may read, and the identity kept in one (reliability A1)."""

import os
from pathlib import Path

import pytest

from nest.identity import SEED_BYTES, load_identity, load_or_mint_identity
from nest.private import mint_private, read_private, read_token, replace_private
from thrum.errors import SettingsRefused
from thrum.keys import verify


def test_what_was_replaced_is_read_back(tmp_path: Path) -> None:
    replace_private(tmp_path / "token", b"one")
    replace_private(tmp_path / "token", b"two")

    assert read_private(tmp_path / "token") == b"two"
    assert os.listdir(tmp_path) == ["token"]


def test_a_private_file_is_0600_under_any_umask(tmp_path: Path) -> None:
    """Experience 5.36."""
    before = os.umask(0)
    try:
        replace_private(tmp_path / "token", b"one")
        mint_private(tmp_path / "seed", b"two")
    finally:
        os.umask(before)

    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "seed").stat().st_mode & 0o777 == 0o600


def test_minting_never_replaces_what_is_there(tmp_path: Path) -> None:
    assert mint_private(tmp_path / "seed", b"first") is True
    assert mint_private(tmp_path / "seed", b"second") is False

    assert read_private(tmp_path / "seed") == b"first"
    assert os.listdir(tmp_path) == ["seed"]


def test_minting_what_is_there_needs_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mint_private(tmp_path / "seed", b"first")
    monkeypatch.setattr("nest.private.PRIVATE_FILE_MODE", None)  # whatever is written now fails

    assert mint_private(tmp_path / "seed", b"second") is False


def test_a_file_that_is_not_there_is_told_apart_from_a_refused_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_private(tmp_path / "missing")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    path.touch()
    path.chmod(mode)

    with pytest.raises(SettingsRefused, match="chmod 600"):
        read_private(path)


def test_a_link_is_refused_even_to_a_good_file(tmp_path: Path) -> None:
    replace_private(tmp_path / "real", b"secret")
    (tmp_path / "link").symlink_to(tmp_path / "real")

    with pytest.raises(SettingsRefused, match="plain file"):
        read_private(tmp_path / "link")


def test_a_planted_fifo_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)

    with pytest.raises(SettingsRefused, match="plain file"):
        read_private(tmp_path / "fifo")


def test_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o700)

    with pytest.raises(SettingsRefused, match="plain file"):
        read_private(tmp_path / "folder")


def test_a_file_over_the_limit_is_refused(tmp_path: Path) -> None:
    replace_private(tmp_path / "long", b"x" * 11)

    assert read_private(tmp_path / "long", bytes_max=11) == b"x" * 11
    with pytest.raises(SettingsRefused, match="longer than 10 bytes"):
        read_private(tmp_path / "long", bytes_max=10)


@pytest.mark.parametrize("content", [b"", b" \n", bytes(range(256)), b"two words", b"a\0b"])
def test_what_is_no_token_is_refused(tmp_path: Path, content: bytes) -> None:
    place = tmp_path / "token"
    replace_private(place, content)

    with pytest.raises(SettingsRefused, match="holds no token"):
        read_token(place)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    replace_private(tmp_path / "theirs", b"x")
    os.chown(tmp_path / "theirs", 65_533, 65_533)

    with pytest.raises(SettingsRefused, match="65533"):
        read_private(tmp_path / "theirs")


def test_an_identity_is_minted_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "bees" / "scout.key"

    first = load_or_mint_identity(path, prefix="wbee")
    again = load_or_mint_identity(path, prefix="wbee")

    assert first.hid == again.hid == load_identity(path, prefix="wbee").hid
    assert str(first.hid).startswith("wbee_")
    assert verify(again.key.public, b"hello", first.key.sign(b"hello"))
    assert path.stat().st_size == SEED_BYTES
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_two_places_make_two_identities(tmp_path: Path) -> None:
    one = load_or_mint_identity(tmp_path / "keys" / "one.key", prefix="fbee")
    two = load_or_mint_identity(tmp_path / "keys" / "two.key", prefix="fbee")

    assert one.hid != two.hid


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_seed_of_the_wrong_length_is_refused_and_left_alone(tmp_path: Path, length: int) -> None:
    replace_private(tmp_path / "humd.key", b"x" * length)

    with pytest.raises(SettingsRefused, match=f"has {length} bytes"):
        load_or_mint_identity(tmp_path / "humd.key", prefix="humd")

    assert (tmp_path / "humd.key").stat().st_size == length


def test_loading_never_mints(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_identity(tmp_path / "humd.key", prefix="humd")

    assert os.listdir(tmp_path) == []


def test_an_identity_does_not_show_its_key(tmp_path: Path) -> None:
    identity = load_or_mint_identity(tmp_path / "keys" / "a.key", prefix="wbee")
    seed = (tmp_path / "keys" / "a.key").read_bytes()

    assert seed.hex() not in repr(identity)
    assert "SigningKey" not in repr(identity)
