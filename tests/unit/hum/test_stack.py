"""The bundled Orchfiles, the user's on top, and the checks before a start."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.fake_claude import install

from hum import checks, found
from hum.bees import Address, address, read_bees
from hum.clients import client_environment
from hum.service_logs import read_tail
from hum.stack import compile_stack
from hum.up import prepare
from nest.paths import Paths
from nest.settings import load
from orch.core.orchfile import OrchfileRefused
from thrum.errors import SettingsRefused


@pytest.fixture
def environ(home: Path) -> dict[str, str]:
    (home / "config" / "hum" / "orch.d").mkdir(parents=True, exist_ok=True)
    return {
        "HOME": str(home),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "PATH": os.environ["PATH"],
    }


@pytest.fixture
def paths(environ: dict[str, str]) -> Paths:
    paths = Paths.from_environment(environ)
    paths.hum_json.write_text('{"front": {"port": 0}, "sidecar": {"port": 0}}')
    return paths


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        yield listener.getsockname()[1]


def test_the_bundled_stack_compiles_and_starts_one_of_each(
    paths: Paths, environ: dict[str, str]
) -> None:
    stack = compile_stack(paths, load(paths, environ), environ, wanted={})

    assert sorted(service.name for service in stack.services) == [
        "anthropic",
        "claude-cli",
        "front",
        "humd",
        "humfs",
        "ollama",
        "openai",
        "scout",
        "sidecar",
        "thehum",
        "thrumd",
    ]
    assert {s.name for s in stack.services} - {s.name for s in stack.started} == {
        "anthropic",
        "claude-cli",
        "ollama",
        "openai",
    }
    assert all("${" not in program.section for program in stack.programs)


def test_the_openai_worker_is_started_when_there_is_a_service(
    paths: Paths, environ: dict[str, str]
) -> None:
    environ["OPENAI_API_KEY"] = "sk-secret-of-mine"

    plan = prepare(paths, environ, roots=())

    assert "openai" in {service.name for service in plan.stack.started}
    everything = plan.stack.master.encode() + b"".join(
        content for program in plan.stack.programs for content in program.files.values()
    )
    assert b"sk-secret-of-mine" not in everything
    assert "sk-secret-of-mine" not in repr(plan.services)


def test_claude_code_is_told_and_started_only_when_its_owner_says_so(
    paths: Paths, environ: dict[str, str]
) -> None:
    program = install(paths.home / "bin")
    environ |= {"PATH": str(program.parent)}
    plan = prepare(paths, environ, roots=())
    assert "claude-cli" not in {service.name for service in plan.stack.started}
    assert any(
        str(program) in line and "workers.claude.enabled" in line
        for line in found.sentences(plan.services, plan.claude)
    )

    ports = '"front": {"port": 0}, "sidecar": {"port": 0}'
    paths.hum_json.write_text(f'{{{ports}, "workers": {{"claude": {{"enabled": true}}}}}}')
    plan = prepare(paths, environ, roots=())
    assert "claude-cli" in {service.name for service in plan.stack.started}

    program.unlink()
    with pytest.raises(SettingsRefused, match="nowhere"):
        prepare(paths, environ, roots=())


def test_our_own_clients_key_is_no_key(paths: Paths, environ: dict[str, str]) -> None:
    environ |= client_environment(Address(host="127.0.0.1", port=14620), {})

    services = found.look(load(paths, environ), environ, probe=lambda _: False)

    assert not any(service.has_key for service in services.values())


def test_a_key_is_left_in_a_private_file_and_taken_away_again(
    paths: Paths, environ: dict[str, str]
) -> None:
    checks.require_private(paths)
    path = paths.worker_key("openai")
    settings = load(paths, environ)

    keyed = {**environ, "OPENAI_API_KEY": "sk-1"}

    found.leave_keys(found.look(settings, keyed), paths)
    assert path.read_text() == "sk-1"
    assert path.stat().st_mode & 0o777 == 0o600
    found.leave_keys(found.look(settings, environ), paths)
    assert not path.exists()


def test_a_users_orchfile_lies_over_the_bundled_ones(paths: Paths, environ: dict[str, str]) -> None:
    (paths.orch_d / "mine.orch").write_text("SERVICE scout\nDISABLED true\nSERVICE me\nRUN x\n")

    stack = compile_stack(paths, load(paths, environ), environ, wanted={})

    names = {service.name for service in stack.started}
    assert "me" in names
    assert "scout" not in names


def test_an_orchfile_that_others_can_change_is_refused(
    paths: Paths, environ: dict[str, str]
) -> None:
    mine = paths.orch_d / "mine.orch"
    mine.write_text("SERVICE me\nRUN x\n")
    mine.chmod(0o622)

    with pytest.raises(SettingsRefused, match="other users can change it"):
        compile_stack(paths, load(paths, environ), environ, wanted={})


def test_a_mistake_in_an_orchfile_is_told_with_file_and_line(
    paths: Paths, environ: dict[str, str]
) -> None:
    (paths.orch_d / "mine.orch").write_text("SERVICE me\nRUN\n")

    with pytest.raises(OrchfileRefused, match=r"mine\.orch:2: RUN needs a value"):
        compile_stack(paths, load(paths, environ), environ, wanted={})


def test_a_taken_port_is_told_with_its_setting_and_nothing_is_changed(
    paths: Paths, environ: dict[str, str], taken: int
) -> None:
    paths.hum_json.write_text(f'{{"front": {{"port": {taken}}}}}')

    with pytest.raises(SettingsRefused) as caught:
        prepare(paths, environ, roots=())

    assert f"port {taken} on 127.0.0.1 (front.port) is taken by" in caught.value.message
    assert f"pid {os.getpid()}" in caught.value.message
    assert str(paths.hum_json) in caught.value.hint
    assert not paths.state.exists()


def test_a_root_that_is_no_directory_is_refused(paths: Paths, environ: dict[str, str]) -> None:
    with pytest.raises(SettingsRefused, match="is no directory"):
        prepare(paths, environ, roots=("/nope",))


def test_a_root_is_for_this_run(paths: Paths, environ: dict[str, str], tmp_path: Path) -> None:
    plan = prepare(paths, {**environ, "HUM_ROOTS": "/tmp"}, roots=(f"{tmp_path}=ro",))

    assert plan.environ["HUM_ROOTS"] == f"/tmp:{tmp_path}=ro"
    assert [(root.path, root.mode) for root in plan.settings.fs.roots] == [
        ("/tmp", "rw"),
        (str(tmp_path), "ro"),
    ]


def test_a_socket_path_that_is_too_long_is_refused(environ: dict[str, str]) -> None:
    environ["XDG_STATE_HOME"] = "/" + "x" * 71

    with pytest.raises(SettingsRefused, match="107"):
        checks.require_sockets(Paths.from_environment(environ))


def test_a_disk_without_room_is_named_before_anything_is_started(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks.require_room(paths)
    for bound in ("ROOM_BYTES_FIRST", "ROOM_FILES_MIN"):
        with monkeypatch.context() as patch:
            patch.setattr(checks, bound, 2**62)
            with pytest.raises(SettingsRefused, match="no room on the disk"):
                checks.require_room(paths)
    assert not paths.state.exists()
    paths.thehum.mkdir(parents=True)
    monkeypatch.setattr(checks, "ROOM_BYTES_FIRST", 2**62)
    checks.require_room(paths)  # a log that is there needs less


def test_a_directory_that_others_may_enter_is_refused_before_any_is_made(paths: Paths) -> None:
    paths.logs.mkdir(parents=True)
    paths.state.chmod(0o700)
    paths.logs.chmod(0o755)

    with pytest.raises(SettingsRefused, match="open to other users"):
        checks.require_private(paths)
    assert not paths.supervisor.exists()


def running_humd(paths: Paths, pid: int) -> None:
    """A humd took its lock, and then wrote that it has one bee."""
    for folder in (paths.state, paths.locks):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    paths.lock("humd").write_text(f"{pid}\n")
    paths.bees_json.write_text(
        '{"c1": {"name": "front", "bind": {"host": "::1", "port": 9}}, "c2": {}, "c3": 1}'
    )


def test_a_bee_says_where_it_listens(home: Path) -> None:
    paths = Paths.from_environment(os.environ)
    assert read_bees(paths) == {}
    running_humd(paths, os.getpid())

    bees = read_bees(paths)

    assert address(bees["front"], "127.0.0.1", 1).url == "http://[::1]:9"
    assert address(None, "127.0.0.1", 1).url == "http://127.0.0.1:1"


def test_nobody_is_connected_to_a_humd_that_was_killed(home: Path) -> None:
    """Features A11: what a crash leaves behind is not believed."""
    paths = Paths.from_environment(os.environ)
    running_humd(paths, 2**22 + 1)

    assert read_bees(paths) == {}


def test_what_an_earlier_humd_wrote_is_not_believed(home: Path) -> None:
    """The next one holds the lock already and has not written yet."""
    paths = Paths.from_environment(os.environ)
    running_humd(paths, os.getpid())
    written = paths.bees_json.stat().st_mtime_ns
    os.utime(paths.lock("humd"), ns=(written + 1, written + 1))

    assert read_bees(paths) == {}


def test_the_end_of_a_log_is_read_line_by_line(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_bytes(
        b'{"ts":"1","level":"info","service":"x","event":"a","n":1,"t":"b c"}\n'
        b"Traceback \x1b[31m\n"
        b'{"ts":"2","event":"z"}\n'
    )

    entries = read_tail(log, service="x", lines=3)

    assert [entry.at for entry in entries] == ["1", "1", "2"]
    assert entries[0].text == '1 info x a n=1 t="b c"'
    assert "\x1b" not in entries[1].text
    assert read_tail(log, service="x", lines=1) == entries[2:]
    assert read_tail(tmp_path / "none.log", service="x", lines=1) == []


def test_each_instance_of_the_file_tools_is_a_service_of_its_own(
    paths: Paths, environ: dict[str, str]
) -> None:
    paths.hum_json.write_text('{"fs": {"instances": [{"name": "a"}, {"name": "b-2"}]}}')

    stack = compile_stack(paths, load(paths, environ), environ, wanted={})

    services = {service.name: service for service in stack.services}
    first, second = services["humfs"], services["humfs-b-2"]
    assert second.argv == (*first.argv, "--instance", "b-2")
    assert (second.socket_ready, second.requires) == ("humfs-b-2", first.requires)
    programs = {program.service.name: program for program in stack.programs}
    assert "/humfs-a.log" in programs["humfs-a"].section


def test_an_instance_and_an_orchfile_of_one_name_are_refused(
    paths: Paths, environ: dict[str, str]
) -> None:
    paths.hum_json.write_text('{"fs": {"instances": [{"name": "a"}]}}')
    (paths.orch_d / "mine.orch").write_text("ORCH_VERSION 0.2.1\nSERVICE humfs-a\nRUN /bin/true\n")

    with pytest.raises(SettingsRefused, match="humfs-a"):
        compile_stack(paths, load(paths, environ), environ, wanted={})
