"""`hum up`, `hum down` and what lies between, with real processes.

Most tests run a stack of one small program instead of hum's own services: an Orchfile of the user
switches those off. The others start everything.
"""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator

import orjson
import psutil
import pytest
from tests.support.home import SERVICES, Home, free_port, new_home, survivors

from nest.paths import Paths
from nest.supervisor import Supervisor

pytestmark = pytest.mark.process

GONE_SECONDS = 20.0

ENDLESS = "import signal; signal.pause()"


def eventually(is_so: Callable[[], bool]) -> None:
    """Look until `is_so`; the test's own timeout is the bound."""
    while not is_so():
        time.sleep(0.02)  # allowed: another process gets there, and nobody tells us


@pytest.fixture
def home() -> Iterator[Home]:
    with new_home() as home:
        yield home


def test_up_starts_status_shows_and_down_leaves_nothing(home: Home) -> None:
    home.only(f"SERVICE one\nRUN {home.program(ENDLESS)}")

    assert home.hum("up").returncode == 0
    status = home.json("status")
    down = home.json("down")

    (one,) = [service for service in status["services"] if service["state"] == "running"][:1]
    assert one["name"] == "one"
    assert status["healthy"]
    assert status["rss_bytes_total"] > one["rss_bytes"] + status["supervisor"]["rss_bytes"]
    assert down == {"was_running": True, "stopped": ["one", "orch"], "killed": []}
    assert survivors(home) == []
    assert not list(home.state.glob("**/*.sock"))
    assert home.hum("status").returncode == 69
    assert home.hum("down").returncode == 0


def test_a_second_up_shows_the_status_and_starts_nothing(home: Home) -> None:
    home.only(f"SERVICE one\nRUN {home.program(ENDLESS)}")
    home.hum("up")
    before = home.service("one")["pid"]

    again = home.hum("up")
    with Paths.from_environment(home.environ).lock("up").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # as one that still waits until all is ready
        early = home.hum("up")

    assert again.returncode == 0
    assert "running already" in again.stderr
    assert (early.returncode, "under way" in early.stderr) == (75, True)
    assert home.service("one")["pid"] == before


READY_LATE = (
    "import http.server, pathlib, sys\n"
    "class Handler(http.server.BaseHTTPRequestHandler):\n"
    "    def do_GET(self):\n"
    "        self.send_response(200 if pathlib.Path(sys.argv[1]).exists() else 503)\n"
    "        self.end_headers()\n"
    "http.server.HTTPServer(('127.0.0.1', int(sys.argv[2])), Handler).serve_forever()\n"
)
"""Ready once a file is there."""


@pytest.mark.parametrize("first", ["killed", "foreground"])
def test_an_up_waits_for_a_start_that_nobody_waits_for(home: Home, first: str) -> None:
    port, go = free_port(), home.directory / "go"
    home.only(
        f"SERVICE one\nRUN {home.program(READY_LATE)} {go} {port}\n"
        f"HEALTHCHECK http://127.0.0.1:{port}/\nREADINESS_TIMEOUT 20s"
    )
    command = [sys.executable, "-P", "-m", "hum", "up"]
    words = ["--foreground"] if first == "foreground" else []
    started = subprocess.Popen([*command, *words], env=home.environ, stderr=subprocess.DEVNULL)
    supervisor = Supervisor(Paths.from_environment(home.environ).supervisor_socket)
    eventually(supervisor.is_there)
    if first == "killed":
        started.kill()
        started.wait()

    second = subprocess.Popen(
        command, env=home.environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(1.5)
    go.touch()
    said = second.communicate()[1]

    assert (second.returncode, "running already" in said) == (0, True), said
    home.hum("down")
    started.wait()


def test_an_up_says_what_a_start_that_nobody_waits_for_lacks(home: Home) -> None:
    home.only(f"SERVICE one\nRUN {home.program('raise SystemExit(1)')}\nSOCKET_READY one")
    home.hum("up")

    again = home.hum("up")

    assert again.returncode == 1
    assert "one is not ready" in again.stderr
    assert "running already" not in again.stderr


COMPLAINING = (
    "import json, signal\n"
    "def say(level, event, **more):\n"
    "    print(json.dumps({'level': level, 'event': event, **more}), flush=True)\n"
    "say('warning', 'one.lost', reason='of a process before')\n"
    "say('info', 'lifecycle.started')\n"
    "say('warning', 'one.lost', reason='nobody answers at example.org')\n"
    "signal.pause()\n"
)


def test_an_up_says_why_one_that_the_others_do_without_is_not_ready(home: Home) -> None:
    home.only(
        f"SERVICE one\nRUN {home.program(COMPLAINING)}\nSOCKET_READY one\n"
        "OPTIONAL true\nREADINESS_TIMEOUT 2s"
    )

    said = home.hum("up")

    assert said.returncode == 0
    assert "one is not ready yet: nobody answers at example.org; see: hum logs one" in said.stderr


def test_supervisorctl_works_by_hand_on_the_rendered_file(home: Home) -> None:
    home.only(f"SERVICE one\nRUN {home.program(ENDLESS)}")
    home.hum("up")
    conf = home.json("status")["supervisor_conf"]

    by_hand = subprocess.run(
        [sys.executable, "-m", "supervisor.supervisorctl", "-c", conf, "status", "hum-one"],
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    through = home.hum("ctl", "status", "one")
    wrapped = orjson.loads(home.hum("ctl", "--json", "status", "one").stdout)
    unknown = home.hum("ctl", "--json", "nonsense")
    client = orjson.loads(
        home.hum("run", "--json", "sh", "-c", "exit 3", ANTHROPIC_API_KEY="k").stdout
    )

    assert "RUNNING" in by_hand.stdout
    assert "hum-one" in through.stdout
    assert wrapped == {"exit_status": 0, "stdout": wrapped["stdout"], "stderr": ""}
    assert wrapped["stdout"].split(", uptime")[0] == through.stdout.split(", uptime")[0]
    assert (client["program"][-3:], client["argv"]) == ("/sh", ["sh", "-c", "exit 3"])
    assert client["environment"]["ANTHROPIC_API_KEY"] == "hum"  # nobody's own key is shown
    assert unknown.returncode == orjson.loads(unknown.stdout)["exit_status"] != 0


def test_a_service_gets_an_environment_of_its_own_and_no_process_between(home: Home) -> None:
    command = home.program(
        "import json, os, resource, signal, sys\n"
        "mask = os.umask(0)\n"
        "json.dump({'environ': dict(os.environ), 'parent': os.getppid(), 'cwd': os.getcwd(),"
        " 'umask': mask, 'nofile': resource.getrlimit(resource.RLIMIT_NOFILE)[0],"
        " 'argv': sys.argv[1:]}, open(sys.argv[1] + '.tmp', 'w'))\n"
        "os.rename(sys.argv[1] + '.tmp', sys.argv[1])\n"
        "signal.pause()\n"
    )
    said = home.directory / "said"
    home.only(
        f"SERVICE one\nRUN {command} {said} '${{HOME}}/a b' ${{NOPE:-default}}\n"
        f"ENV GIVEN=it's \"; %x\nENV ASKED\nLIMIT_NOFILE 77"
    )

    home.hum("up", OPENAI_API_KEY="sk-canary-0123", ASKED="yes", SECRET="canary")
    eventually(said.exists)
    found = orjson.loads(said.read_bytes())
    supervisor = home.json("status")["supervisor"]["pid"]

    environ = found["environ"]
    assert environ["GIVEN"] == "it's \"; %x"
    assert environ["ASKED"] == "yes"
    assert environ["HUM_PARENT_PID"] == str(supervisor)
    assert found["parent"] == supervisor
    assert not {name for name in environ if name.startswith(("OPENAI", "SUPERVISOR", "SECRET"))}
    assert (found["cwd"], found["umask"], found["nofile"]) == (str(home.state), 0o077, 77)
    assert found["argv"][1:] == [f"{home.directory}/a b", "default"]
    assert b"canary" not in (psutil.Process(supervisor).environ().get("SECRET") or "").encode()
    confs = home.state.glob("supervisor/**/*")
    assert not [path for path in confs if path.is_file() and b"canary" in path.read_bytes()]


def test_unusable_settings_of_a_service_end_up_with_78_and_its_last_words(home: Home) -> None:
    command = home.program("raise SystemExit(78)")
    home.only(f"SERVICE one\nRUN {command}\nRESTART always\nSOCKET_READY one")

    up = home.hum("up")

    assert up.returncode == 78
    assert "one is not ready: its settings cannot be used" in up.stderr
    assert up.stderr.rstrip().endswith("hum down")
    starts = home.state / "supervisor" / "programs" / "one.starts"
    assert len(starts.read_text().splitlines()) == 1


def test_a_service_that_ends_too_often_is_given_up_and_named(home: Home) -> None:
    home.only(
        f"SERVICE one\nRUN {home.program('raise SystemExit(1)')}\nRESTART always\n"
        "START_LIMIT_BURST 2\nSOCKET_READY one"
    )

    up = home.hum("up")

    assert up.returncode == 1
    assert "one is not ready: it ended too often" in up.stderr
    assert "was started 2 times within 10 s and gave up" in up.stderr


def test_a_killed_service_comes_back_and_the_listener_notes_it(home: Home) -> None:
    home.only(f"SERVICE one\nRUN {home.program(ENDLESS)}\nRESTART on-failure")
    home.hum("up")
    before = home.service("one")["pid"]

    os.kill(before, signal.SIGKILL)
    eventually(lambda: home.service("one")["pid"] not in (None, before))

    lines = home.hum("logs", "orch", "--json").stdout.splitlines()
    found = [orjson.loads(line) for line in lines]
    said = [one.get("state", one["event"]) for one in found if one.get("pid") == before]
    assert said == ["RUNNING", "process.gone", "EXITED"]


def test_the_log_of_a_service_says_how_its_last_run_ended_and_goes_on(home: Home) -> None:
    program = home.program(f"print('hello', flush=True); {ENDLESS}")
    home.only(f"SERVICE one\nRUN {program}\nRESTART on-failure")
    home.hum("up")
    before = home.service("one")["pid"]
    with home.started("logs", "one", "--follow") as follower:
        assert follower.stdout is not None
        told = [follower.stdout.readline(), follower.stdout.readline()]
        os.kill(before, signal.SIGKILL)
        while sum("hello" in line for line in told) < 2:
            told.append(follower.stdout.readline())
        follower.send_signal(signal.SIGINT)
        follower.wait()

    (ended,) = [at for at, line in enumerate(told) if "process.exited" in line]
    assert "terminated by SIGKILL" in told[ended]
    assert (told[ended + 1], "process.spawned" in told[ended + 2]) == ("\n", True)
    assert home.hum("logs", "one").stdout.count("terminated by SIGKILL") == 1


def test_down_ends_what_a_killed_supervisor_left_behind(home: Home) -> None:
    home.only(f"SERVICE one\nRUN {home.program(ENDLESS)}")
    home.hum("up")
    orphan = home.service("one")["pid"]

    supervisor = psutil.Process(home.json("status")["supervisor"]["pid"])
    supervisor.kill()
    down = home.json("down")

    assert down["was_running"]
    assert not psutil.pid_exists(orphan) or (
        psutil.Process(orphan).status() == psutil.STATUS_ZOMBIE
    )


def test_a_service_that_will_not_end_is_killed(home: Home) -> None:
    stubborn = (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: signal.pause()"
    )
    home.only(f"SERVICE one\nRUN {home.program(stubborn)}\nTIMEOUT_STOP 1s")
    home.hum("up")

    home.hum("down")

    assert survivors(home) == []


def test_a_taken_port_refuses_and_changes_nothing(home: Home) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen(1)
        home.settings(front={"port": holder.getsockname()[1]})

        up = home.hum("up")

    assert up.returncode == 78
    assert "(front.port) is taken by" in up.stderr
    assert not home.state.exists()


def test_settings_that_cannot_be_used_refuse_and_change_nothing(home: Home) -> None:
    home.settings(front={"prot": 1})

    up = home.hum("up")

    assert up.returncode == 78
    assert "front.prot" in up.stderr
    assert "Traceback" not in up.stderr
    assert not home.state.exists()


@pytest.mark.timeout(90)
def test_in_the_foreground_sigterm_ends_everything_with_0(home: Home) -> None:
    home.only(f"SERVICE one\nRUN {home.program(ENDLESS)}")
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "hum", "up", "--foreground"],
        env=home.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    eventually(lambda: home.hum("status").returncode == 0)

    process.terminate()

    assert process.wait(GONE_SECONDS) == 0
    assert survivors(home) == []


def pointed(home: Home, client: str) -> tuple[list[str], dict[str, str]]:
    """What a client that `hum run` starts gets: its arguments, and its variables."""
    program = home.directory / "clients" / client
    program.parent.mkdir(exist_ok=True)
    program.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        "print(json.dumps([sys.argv[1:], dict(os.environ)]))\n"
    )
    program.chmod(0o700)
    path = f"{program.parent}:{home.environ['PATH']}"
    started = home.hum("run", client, "exec", "x", PATH=path)
    assert started.returncode == 0, started.stderr
    arguments, environ = orjson.loads(started.stdout)
    return arguments, environ


@pytest.mark.timeout(90)
def test_the_whole_stack_answers_a_prompt_and_keeps_its_identity(home: Home) -> None:
    """Experience 2: up, ask, down, up again with the same identity, nothing left."""
    first = home.json("up", "--root", str(home.directory / "run"))
    begun = home.json("status")
    scout = home.json("bee", "scout")
    answer = home.hum("ask", "--model", "scout", "say hi")
    clients = {name: pointed(home, name) for name in ("codex", "opencode", "aider")}
    door = subprocess.run(
        [sys.executable, "-P", "-c", "from hum.__main__ import humctl; humctl()", "health"],
        env=home.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    status = home.json("status")
    doctor = home.json("doctor")
    os.kill(home.service("thehum")["pid"], signal.SIGSTOP)
    holding = home.hum("status")
    os.kill(home.service("thehum")["pid"], signal.SIGCONT)
    down = home.json("down")
    left = survivors(home)
    second = home.json("up")

    assert first["ready"]
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip()
    assert "scout" in answer.stderr
    arguments, told = clients["codex"]
    assert arguments[0::2] == ["-c", "-c", "exec"]
    assert arguments[1] == 'model_provider="hum"'
    provider = tomllib.loads(arguments[3])["model_providers"]["hum"]
    assert provider == {
        "name": "hum", "base_url": told["OPENAI_BASE_URL"], "env_key": "OPENAI_API_KEY",
        "wire_api": "responses",
    }  # fmt: skip
    config = orjson.loads(clients["opencode"][1]["OPENCODE_CONFIG_CONTENT"])["provider"]["hum"]
    assert (list(config["models"]), config["options"]["baseURL"]) == (
        ["scout"], told["OPENAI_BASE_URL"],
    )  # fmt: skip
    assert clients["aider"][1]["OPENAI_API_BASE"] == told["OPENAI_BASE_URL"]
    assert clients["aider"][0] == ["exec", "x"]
    assert door.returncode == 0, door.stderr
    assert (holding.returncode, "SILENT for 2s" in holding.stdout) == (1, True), holding.stdout
    assert "hum ctl restart thehum" in holding.stdout
    assert {one["name"] for one in status["services"] if one["state"] == "running"} == {
        *SERVICES, "orch",
    } - {"openai"}  # fmt: skip
    assert status["healthy"]
    assert [one for one in doctor["checks"] if not one["ok"]] == []
    assert 0 < begun["log"]["head"] < status["log"]["head"]
    assert status["sockets"]["door"]["silence"] is None
    assert not status["runtime"]["stale"]
    assert (scout["state"], scout["roles"], scout["models"]) == (
        "connected", ["worker"], ["scout"],
    )  # fmt: skip
    assert (down["killed"], left) == ([], [])
    assert first["identity"] == second["identity"] is not None
