"""``opsconsole backends``: the multi-backend test, on what this machine has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from opsconsole.cli.root import root
from opsconsole.engine import survey
from opsconsole.errors import ExitCode
from tests.engine.models import make_cross_encoder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_cross_encoder(tmp_path_factory.mktemp("models") / "bert")


def _run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(root, ["backends", *arguments], standalone_mode=False)
    assert result.exception is None, result.output
    return int(result.return_value), result.output


def test_every_combination_is_reported_and_those_that_run_agree(model: Path) -> None:
    code, output = _run("--model", str(model), "--json")
    reports = json.loads(output)
    assert code == ExitCode.OK
    assert [(r["device"], r["dtype"]) for r in reports] == list(map(tuple, survey.COMBINATIONS))
    running = {(r["device"], r["dtype"]): r for r in reports if r["problem"] is None}
    assert running["cpu", "float32"]["agreement"] is None
    for place, report in running.items():
        assert report["pairs_per_second"] > 0
        assert report["agrees"]
        if place[1] == "float32" and place != ("cpu", "float32"):
            assert report["agreement"]["max_difference"] < survey.SAME
    for report in reports:
        assert (report["problem"] is None) == (report["backend"] is not None)
    absent = next(r for r in reports if r["problem"])
    assert absent["device"] in absent["problem"].lower() or "GPU" in absent["problem"]


def test_disagreement_is_critical(monkeypatch: pytest.MonkeyPatch) -> None:
    def lying(settings: object) -> Iterator[survey.BackendReport]:
        yield survey.BackendReport(device="cpu", dtype="float32", backend="pytorch", agrees=True)
        yield survey.BackendReport(device="mlx", dtype="float32", backend="mlx", agrees=False)

    monkeypatch.setattr(survey, "survey", lying)
    code, output = _run()
    assert code == ExitCode.CRITICAL
    assert "DISAGREES" in output


def test_nothing_runs_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = survey.BackendReport(device="cuda", dtype="float32", problem="no GPU")
    monkeypatch.setattr(survey, "survey", lambda settings: iter([nothing]))
    code, output = _run()
    assert code == ExitCode.UNKNOWN
    assert "no GPU" in output


def test_a_model_that_is_not_there_is_an_error() -> None:
    result = CliRunner().invoke(root, ["backends", "--model", "/nowhere"], standalone_mode=False)
    assert result.exception is not None
    assert "/nowhere" in str(result.exception)
