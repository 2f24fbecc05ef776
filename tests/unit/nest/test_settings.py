"""hum.json: closed, complete in its complaints, read with the environment (features A21)."""

import os
from pathlib import Path
from typing import Any

import orjson
import pytest

from nest.paths import Paths
from nest.private import replace_private
from nest.settings import Settings, json_schema, load, service_key
from nest.settings.load import HUM_JSON_BYTES_MAX
from thrum.errors import SettingsRefused


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths.from_environment({"HOME": str(tmp_path)})
    paths.config.mkdir(parents=True)
    return paths


def write(paths: Paths, content: object) -> None:
    raw = content if isinstance(content, bytes) else orjson.dumps(content)
    paths.hum_json.write_bytes(raw)
    paths.hum_json.chmod(0o600)


def refusal(paths: Paths, content: object, environ: dict[str, str] | None = None) -> str:
    write(paths, content)
    with pytest.raises(SettingsRefused) as refused:
        load(paths, environ or {})
    return refused.value.message


def test_without_a_file_everything_has_its_default(paths: Paths) -> None:
    settings = load(paths, {})

    assert (settings.front.host, settings.front.port) == ("127.0.0.1", 14620)
    assert settings.sidecar.port == 14600
    assert settings.humd.metrics_addr == "127.0.0.1:9909"
    assert settings.humd.frame_bytes_max == 16 * 1024 * 1024
    assert settings.humd.thehum.exclude == ("echo", "log")
    assert settings.nest.default == "claude-cli"
    assert settings.fs.roots == ()
    assert settings.log_level == "info"


def test_an_empty_object_is_the_same_as_no_file(paths: Paths) -> None:
    without = load(paths, {})
    write(paths, {})

    assert load(paths, {}) == without


def test_every_section_is_read(paths: Paths) -> None:
    write(
        paths,
        {
            "$schema": "https://example.org/hum.json",
            "logLevel": "debug",
            "humd": {
                "permissionDuskMs": 0,
                "driftRetentionDays": 1,
                "metricsAddr": "",
                "tcpListen": "0.0.0.0:14730",
                "maxFrameBytes": 65536,
                "thehum": {"signing": "every", "segmentBytes": 1048576, "exclude": []},
            },
            "fs": {"roots": [{"path": "/work"}, {"path": "~/doc", "mode": "ro"}]},
            "nest": {"maxActiveCells": 1, "cellIdlePruneThresholdMs": 0, "default": "scout"},
            "front": {"host": "::1", "port": 0},
            "sidecar": {"host": "localhost"},
            "workers": {"openai": {"enabled": False, "models": ["gpt-5"]}},
        },
    )

    settings = load(paths, {})

    assert settings.log_level == "debug"
    assert settings.humd.permission_dusk_ms == 0
    assert settings.humd.tcp_listen == "0.0.0.0:14730"
    assert settings.humd.thehum.signing == "every"
    assert settings.humd.thehum.exclude == ()
    assert settings.nest.cells_active_max == 1
    assert settings.front.port == 0
    assert settings.workers.openai.enabled is False
    assert settings.workers.openai.models == ("gpt-5",)
    assert [(root.path, root.mode) for root in settings.fs.roots] == [
        ("/work", "rw"),
        (f"{paths.home}/doc", "ro"),
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"hives": {}}, "hives: got an unknown key, wanted one of:"),
        ({"front": {"prot": 1}}, "front.prot: got an unknown key, wanted port, perhaps?"),
        ({"front": 3}, "front: got 3, wanted an object"),
        ([], "hum.json: got [], wanted an object"),
        ({"front": {"port": "80"}}, 'front.port: got "80", wanted a whole number from 0 to 65535'),
        (
            {"front": {"port": 8000}, "sidecar": {"port": 8000}},
            "sidecar.port: got 8000, which is front.port too, wanted another port",
        ),
        (
            {"front": {"ollamaPort": 8000, "host": "localhost"}, "sidecar": {"port": 8000}},
            "sidecar.port: got 8000, which is front.ollamaPort too, wanted another port",
        ),
        ({"front": {"port": 65536}}, "front.port: got 65536, wanted a whole number from 0 to"),
        ({"front": {"port": True}}, "front.port: got true, wanted a whole number"),
        ({"front": {"port": 1.0}}, "front.port: got 1.0, wanted a whole number"),
        ({"front": {"port": None}}, "front.port: got null, wanted a whole number"),
        ({"sidecar": {"host": "0.0.0.0"}}, 'sidecar.host: got "0.0.0.0", wanted 127.0.0.1, ::1'),
        ({"sidecar": {"host": "example.org"}}, "no keys are configured"),
        ({"humd": {"metricsAddr": "0.0.0.0:9"}}, "humd.metricsAddr: got"),
        ({"humd": {"metricsAddr": "127.0.0.1"}}, "wanted host:port of this machine, or empty"),
        ({"humd": {"tcpListen": "x:99999"}}, "humd.tcpListen: got"),
        ({"humd": {"thehum": {"signing": "no"}}}, 'signing: got "no", wanted one of: group, every'),
        ({"humd": {"thehum": {"exclude": "echo"}}}, 'exclude: got "echo", wanted a list'),
        (
            {"humd": {"thehum": {"exclude": [1]}}},
            "exclude[0]: got 1, wanted one of: echo",
        ),
        ({"fs": {"roots": [{"path": "a"}]}}, 'fs.roots[0].path: got "a", wanted an absolute path'),
        ({"fs": {"roots": [{}, {"mode": "x"}]}}, "fs.roots[1].mode: got"),
        ({"fs": {"denied": ["~ada/x"]}}, "fs.denied[0]: got"),
        ({"nest": {"maxActiveCells": 0}}, "got 0, wanted a whole number, 1 or more"),
        ({"logLevel": "loud"}, 'logLevel: got "loud", wanted one of: debug, info, warning, error'),
        ({"workers": {"openai": {"enabled": "yes"}}}, 'got "yes", wanted true or false'),
        ({"workers": {"openai": {"baseUrl": "ftp://x"}}}, "workers.openai.baseUrl: got"),
        ({"workers": {"openai": {"models": [""]}}}, "workers.openai.models[0]: got"),
    ],
)
def test_a_violation_is_told_with_file_path_got_and_wanted(
    paths: Paths, content: object, told: str
) -> None:
    message = refusal(paths, content)

    assert told in message
    assert str(paths.hum_json) in message


def test_all_violations_are_told_at_once(paths: Paths) -> None:
    message = refusal(
        paths,
        {"front": {"port": -1, "x": 1}, "fs": {"roots": [{"mode": "rwx"}]}, "logLevel": 3},
        {"HUM_ROOTS": "relative", "HUM_LOG_LEVEL": "loud"},
    )

    for where in (
        "front.port",
        "front.x",
        "fs.roots[0].mode",
        "logLevel",
        "HUM_ROOTS[0]",
        "HUM_LOG_LEVEL",
    ):
        assert f" {where}: got" in message


@pytest.mark.parametrize("raw", [b"", b"{", b'{"front": NaN}', b'{"front": {},}', b"\xff", b"// x"])
def test_what_is_no_json_is_refused_with_its_place(paths: Paths, raw: bytes) -> None:
    assert "is no JSON" in refusal(paths, raw)


def test_a_pipe_for_a_file_is_refused_and_holds_nobody(paths: Paths) -> None:
    os.mkfifo(paths.hum_json)

    with pytest.raises(SettingsRefused, match="is no plain file"):
        load(paths, {})


def test_the_mend_names_the_file(paths: Paths) -> None:
    write(paths, {"x": 1})

    with pytest.raises(SettingsRefused) as refused:
        load(paths, {})

    assert str(paths.hum_json) in refused.value.hint


def test_a_file_others_may_change_is_refused(paths: Paths) -> None:
    write(paths, {})
    paths.hum_json.chmod(0o666)

    with pytest.raises(SettingsRefused, match="chmod go-w"):
        load(paths, {})


def test_a_file_over_the_limit_is_refused(paths: Paths) -> None:
    write(paths, b" " * HUM_JSON_BYTES_MAX + b"{}")

    with pytest.raises(SettingsRefused, match="longer than"):
        load(paths, {})


def test_a_folder_in_the_files_place_is_refused(paths: Paths) -> None:
    paths.hum_json.mkdir()

    with pytest.raises(SettingsRefused, match="cannot be read"):
        load(paths, {})


def test_roots_of_this_run_come_after_those_of_the_file(paths: Paths) -> None:
    write(paths, {"fs": {"roots": [{"path": "/file"}]}})
    roots = os.pathsep.join(["/run", "/docs=ro", "~/both=rw", "", "/odd=name"])

    settings = load(paths, {"HUM_ROOTS": roots})

    assert [(root.path, root.mode) for root in settings.fs.roots] == [
        ("/file", "rw"),
        ("/run", "rw"),
        ("/docs", "ro"),
        (f"{paths.home}/both", "rw"),
        ("/odd=name", "rw"),
    ]


def test_hums_own_folders_are_denied_named_or_not(paths: Paths) -> None:
    write(paths, {"fs": {"denied": ["~/diary"]}})

    denied = load(paths, {}).fs.denied

    assert denied == (f"{paths.home}/diary", str(paths.config), str(paths.state))


def test_the_default_denials_are_real_paths(paths: Paths) -> None:
    denied = load(paths, {}).fs.denied

    assert f"{paths.home}/.ssh" in denied
    assert all(path.startswith("/") for path in denied)


def test_the_level_of_this_run_beats_the_file(paths: Paths) -> None:
    write(paths, {"logLevel": "error"})

    assert load(paths, {"HUM_LOG_LEVEL": "debug"}).log_level == "debug"
    assert load(paths, {"HUM_LOG_LEVEL": ""}).log_level == "error"


@pytest.mark.parametrize(
    ("in_file", "in_environment", "upstream"),
    [
        (None, None, "https://api.openai.com/v1"),
        (None, "http://box:8000/v1/", "http://box:8000/v1"),
        ("http://file/v1", "http://box:8000/v1", "http://file/v1"),
        (None, "http://127.0.0.1:14620/v1", "https://api.openai.com/v1"),
        (None, "http://localhost:8000/v1", "http://localhost:8000/v1"),
    ],
)
def test_the_openai_service_comes_from_the_file_then_the_environment(
    paths: Paths, in_file: str | None, in_environment: str | None, upstream: str
) -> None:
    write(paths, {"workers": {"openai": {"baseUrl": in_file}}})
    environ = {} if in_environment is None else {"OPENAI_BASE_URL": in_environment}

    assert load(paths, environ).workers.openai.upstream == upstream


def test_a_worker_that_would_ask_itself_is_refused(paths: Paths) -> None:
    message = refusal(
        paths,
        {"front": {"port": 5000}, "workers": {"openai": {"baseUrl": "http://localhost:5000/v1"}}},
    )

    assert "workers.openai.baseUrl: got hum's own front" in message


@pytest.mark.parametrize("key", ["keyEnv", "keyFile", "baseUrl"])
def test_a_key_in_the_wrong_place_is_not_repeated(paths: Paths, key: str) -> None:
    """Reliability I8."""
    message = refusal(paths, {"workers": {"openai": {key: "sk-canary-0123456789"}}})

    assert f"workers.openai.{key}: got text of 20 characters" in message
    assert "canary" not in message


def test_a_user_in_a_base_url_is_refused_unseen(paths: Paths) -> None:
    message = refusal(paths, {"workers": {"openai": {"baseUrl": "https://me:canary@host/v1"}}})

    assert "canary" not in message


def test_a_key_comes_from_the_file_then_the_variable_then_hum_up(paths: Paths) -> None:
    paths.worker_key("openai").parent.mkdir(parents=True)
    replace_private(paths.worker_key("openai"), b"from-hum-up\n")
    replace_private(paths.home / "key", b"from-the-file\n")
    plain = load(paths, {}).workers.openai
    write(paths, {"workers": {"openai": {"keyFile": "~/key"}}})
    named = load(paths, {}).workers.openai
    environ = {"OPENAI_API_KEY": "from-the-variable"}

    assert service_key("openai", named, paths, environ) == "from-the-file"
    assert service_key("openai", plain, paths, environ) == "from-the-variable"
    assert service_key("openai", plain, paths, {}) == "from-hum-up"


def test_a_further_service_has_a_key_of_its_own(paths: Paths) -> None:
    service = {"name": "groq", "baseUrl": "http://x/v1", "keyEnv": "GROQ_API_KEY"}
    write(paths, {"workers": {"openai": {"services": [service]}}})
    paths.worker_key("openai").parent.mkdir(parents=True)
    replace_private(paths.worker_key("openai"), b"the-main-one\n")
    (further,) = load(paths, {}).workers.openai.services

    assert service_key("openai", further, paths, {}) is None
    assert service_key("openai", further, paths, {"GROQ_API_KEY": "its-own"}) == "its-own"
    replace_private(paths.worker_key("openai.groq"), b"from-hum-up\n")
    assert service_key("openai", further, paths, {}) == "from-hum-up"


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"services": [{"name": "groq"}]}, "workers.openai.services[0].baseUrl: got nothing"),
        ({"services": [{"name": "a", "baseUrl": "http://x"}] * 2}, "services[1].name: got a,"),
        ({"services": [{"name": "A/b", "baseUrl": "http://x"}]}, "services[0].name: got"),
        ({"aliases": [{"name": "fast"}]}, "workers.openai.aliases[0].models: got nothing"),
        ({"aliases": [{"name": "a", "models": ["b"]}] * 2}, "aliases[1].name: got a,"),
    ],
)
def test_services_and_aliases_that_make_no_sense_are_refused(
    paths: Paths, section: dict[str, object], says: str
) -> None:
    write(paths, {"workers": {"openai": section}})

    with pytest.raises(SettingsRefused) as caught:
        load(paths, {})

    assert says in str(caught.value)


def test_without_any_key_there_is_none(paths: Paths) -> None:
    assert (
        service_key("openai", load(paths, {}).workers.openai, paths, {"OPENAI_API_KEY": ""}) is None
    )


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe"])
def test_a_named_key_file_without_a_key_is_refused(paths: Paths, content: bytes | None) -> None:
    if content is not None:
        replace_private(paths.home / "key", content)
    write(paths, {"workers": {"openai": {"keyFile": "~/key"}}})

    with pytest.raises(SettingsRefused, match=str(paths.home / "key")):
        service_key("openai", load(paths, {}).workers.openai, paths, {"OPENAI_API_KEY": "other"})


def test_a_key_file_open_to_others_is_refused(paths: Paths) -> None:
    (paths.home / "key").write_text("secret")
    (paths.home / "key").chmod(0o644)
    write(paths, {"workers": {"openai": {"keyFile": "~/key"}}})

    with pytest.raises(SettingsRefused, match="chmod 600"):
        service_key("openai", load(paths, {}).workers.openai, paths, {})


def test_the_schema_is_closed_and_explains_every_key() -> None:
    schema = json_schema()
    unexplained: list[str] = []

    def walk(node: object, path: str) -> None:
        assert isinstance(node, dict)
        assert node["additionalProperties"] is False
        for key, child in node["properties"].items():
            if child.get("type") == "object":
                walk(child, f"{path}{key}.")
            elif not child.get("description"):
                unexplained.append(path + key)

    walk(schema, "")

    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert unexplained == []


def test_the_schema_has_the_bounds_that_the_reader_keeps() -> None:
    properties = json_schema()["properties"]
    assert isinstance(properties, dict)

    assert properties["front"]["properties"]["port"]["maximum"] == 65_535
    assert properties["humd"]["properties"]["thehum"]["properties"]["signing"]["enum"] == [
        "group",
        "every",
    ]
    assert properties["fs"]["properties"]["roots"]["items"]["additionalProperties"] is False


def test_settings_cannot_be_changed(paths: Paths) -> None:
    settings = load(paths, {})

    with pytest.raises(AttributeError):
        settings.log_level = "debug"  # type: ignore[misc]
    assert isinstance(hash(settings), int)
    assert settings == Settings(fs=settings.fs)


def test_an_instance_of_the_file_tools_has_what_it_says_and_else_what_all_have(
    paths: Paths,
) -> None:
    instances = [
        {"name": "second"},
        {"name": "notes", "roots": [{"path": "~/notes", "mode": "ro"}], "denied": ["~/notes/x"]},
        {"name": "wide", "shell": {"hosts": ["pypi.org"]}},
    ]
    write(paths, {"fs": {"roots": [{"path": "/code"}], "instances": instances}})
    fs = load(paths, {"HUM_ROOTS": "/run=ro"}).fs

    second, notes, wide = map(fs.of, ("second", "notes", "wide"))

    assert second is not None
    assert (second.roots, second.denied, second.shell) == (fs.roots, fs.denied, fs.shell)
    assert notes is not None
    assert [(root.path, root.mode) for root in notes.roots] == [(f"{paths.home}/notes", "ro")]
    assert notes.denied == (*fs.denied, f"{paths.home}/notes/x")
    assert wide is not None
    assert wide.shell.hosts == ("pypi.org",)
    assert fs.of("nobody") is None
    assert [root.path for root in fs.all_roots] == ["/code", "/run", f"{paths.home}/notes"]


@pytest.mark.parametrize(
    ("instances", "said"),
    [
        ([{"name": "a"}, {"name": "a"}], "fs.instances[1].name: got a, wanted a name of its own"),
        ([{"name": f"a{at}"} for at in range(17)], "fs.instances: got 17 of them, wanted at most"),
        ([{"name": "A b"}], "fs.instances[0].name"),
    ],
)
def test_instances_that_make_no_sense_are_refused(
    paths: Paths, instances: list[dict[str, str]], said: str
) -> None:
    write(paths, {"fs": {"instances": instances}})

    with pytest.raises(SettingsRefused) as refused:
        load(paths, {})

    assert said in refused.value.message


@pytest.mark.parametrize(
    "settings",
    [
        {"front": {"host": "127.0.0.2", "port": 8000}, "sidecar": {"port": 8000}},
        {"front": {"port": 8000, "ollamaPort": 8000}},
    ],
)
def test_a_port_may_be_named_twice_where_nothing_meets(
    paths: Paths, settings: dict[str, Any]
) -> None:
    write(paths, settings)

    assert load(paths, {}).front.port == 8000
