"""Recipes: each can be used, and laying one in replaces nothing that somebody chose."""

import os
from pathlib import Path

import orjson
import pytest

from hum import commands
from hum.__main__ import run
from hum.recipes.merging import filled, merged
from hum.recipes.verbs import known
from nest.paths import Paths
from nest.settings import Settings, load


@pytest.fixture
def paths(home: Path) -> Paths:
    paths = Paths.from_environment(os.environ)
    paths.config.mkdir(parents=True, exist_ok=True)
    return paths


@pytest.mark.parametrize("name", known())
def test_each_recipe_can_be_laid_into_an_empty_hum_json(
    paths: Paths, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(commands.hum, ["recipes", "apply", name]) == 0
    recipe = filled(known()[name], os.getcwd())

    assert orjson.loads(paths.hum_json.read_bytes()) == recipe["settings"]
    assert paths.hum_json.stat().st_mode & 0o777 == 0o600
    assert load(paths, {}) != Settings()
    assert recipe.keys() == {"about", "settings", "then"}
    assert recipe["then"][-1] in capsys.readouterr().err
    before = paths.hum_json.read_bytes()
    assert run(commands.hum, ["recipes", "apply", name]) == 0
    assert paths.hum_json.read_bytes() == before


def test_all_recipes_are_listed_and_shown(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    run(commands.hum, ["recipes", "--json"])
    listed = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert run(commands.hum, ["recipes", "show", "repository"]) == 0
    shown = capsys.readouterr().out
    assert run(commands.hum, ["recipes", "show", "nothing"]) == 1

    assert [one["name"] for one in listed] == list(known())
    assert f'"path": "{os.getcwd()}"' in shown
    assert "there are: budget, " in capsys.readouterr().err


def test_a_dry_run_prints_the_result_and_writes_nothing(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    paths.hum_json.write_text('{"logLevel": "debug"}')

    assert run(commands.hum, ["recipes", "apply", "budget", "--dry-run"]) == 0

    said = orjson.loads(capsys.readouterr().out)
    assert said["logLevel"] == "debug"
    assert said["humd"]["budgets"] == [{"limit": "5 usd/day"}]
    assert paths.hum_json.read_text() == '{"logLevel": "debug"}'


def test_what_somebody_chose_stays(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    text = '{"humd": {"unknownPrice": "ignore"}}'
    paths.hum_json.write_text(text)

    assert run(commands.hum, ["recipes", "apply", "budget"]) == 1

    assert "says something else about humd.unknownPrice" in capsys.readouterr().err
    assert paths.hum_json.read_text() == text


def test_a_result_that_could_not_be_used_is_refused_and_nothing_is_written(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    service = {"name": "second", "baseUrl": "https://example.org/v1"}
    text = orjson.dumps({"workers": {"openai": {"services": [service]}}})
    paths.hum_json.write_bytes(text)

    assert run(commands.hum, ["recipes", "apply", "fallback"]) == 78

    assert "workers.openai.services[1].name" in capsys.readouterr().err
    assert paths.hum_json.read_bytes() == text


def test_entries_of_lists_come_behind_those_that_are_there_once() -> None:
    there = {"a": [1, 2], "b": {"c": 3}, "d": 4}

    result, new, kept = merged(there, {"a": [2, 5], "b": {"e": 6, "c": 3}, "d": 7})

    assert result == {"a": [1, 2, 5], "b": {"c": 3, "e": 6}, "d": 4}
    assert (new, kept) == (["a[]", "b.e"], ["d"])
    assert there == {"a": [1, 2], "b": {"c": 3}, "d": 4}
