"""How ``opsconsole load`` and its neighbours take numbers and names, and how they end before
anything was sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from opsconsole.cli.load import load
from opsconsole.cli.options import names_of
from opsconsole.cli.root import root
from opsconsole.errors import ExitCode, OpsError, UsageError
from opsconsole.load import store
from tests.load.sample_runs import sample_run

FLEET = """\
name: fleet
servers:
  - {name: a, kind: http, url: 'http://127.0.0.1:9'}
  - {name: b, kind: http, url: 'http://127.0.0.1:10', api_key: '${NO_SUCH_KEY_ANYWHERE}'}
"""


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = tmp_path / "fleet.yaml"
    path.write_text(FLEET)
    return str(path)


def call(*argv: str) -> Result:
    return CliRunner().invoke(load, argv, standalone_mode=False)


def refused(*argv: str) -> OpsError:
    error = call(*argv).exception
    assert isinstance(error, OpsError), error
    return error


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (("a,b",), ("a", "b")),
        (("a", "b,c"), ("a", "b", "c")),
        (("a, b,",), ("a", "b")),
        ((), ()),
        ((",",), (",",)),
        (("",), ("",)),
    ],
)
def test_names_are_repeated_or_have_commas(given: tuple[str, ...], names: tuple[str, ...]) -> None:
    assert names_of(given) == names


@pytest.mark.parametrize(
    "argv",
    [
        ("load", "load", "1"),
        ("load", "failover"),
        ("generate", "nginx"),
        ("--check",),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize(("names", "missing"), [("a,x", "'x'"), (" b , y ", "'y'"), (",", "','")])
def test_every_verb_takes_names_the_same_way(
    fleet: str, argv: tuple[str, ...], names: str, missing: str
) -> None:
    error = (
        CliRunner()
        .invoke(root, ["-p", fleet, *argv, "--server", names], standalone_mode=False)
        .exception
    )
    assert isinstance(error, UsageError)
    assert f"no server {missing}" in str(error)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("rate", "50/x"), "rate: expected a rate such as 50/s or 600/m, at most 1000000/s, "
                           "got '50/x'"),
        (("load", "ten"), "requests: expected a whole number, such as 100, got 'ten'"),
        (("load", "10", "4.5"), "concurrency: expected a whole number, such as 100, got '4.5'"),
        (("load", "50/s"), "requests: expected a whole number"),
        (("load", "5", "-n", "4"), "requests is given twice: 5 and 4"),
        (("rate", "50/s", "--rate", "4"), "rate is given twice: 50/s and 4"),
        (("soak", "5"), "the mode soak takes no numbers, got 1"),
    ],
)  # fmt: skip
def test_a_number_that_is_none(fleet: str, argv: tuple[str, ...], said: str) -> None:
    error = refused(*argv, "-p", fleet)
    assert isinstance(error, UsageError)
    assert str(error).startswith(said)


def test_the_help_of_a_mode_is_its_own(fleet: str) -> None:
    text = CliRunner().invoke(root, ["load", "rate", "--help"]).output
    assert text.startswith("Usage: root load rate [OPTIONS] [NUMBER]...")


@pytest.mark.parametrize("argv", [("-s", "b"), ("-s", "a", "--dialect", "tei")], ids=" ".join)
def test_what_ends_before_anything_is_sent_is_no_broken_threshold(
    fleet: str, argv: tuple[str, ...]
) -> None:
    """An unset key; a TEI server that does not tell its batch limit."""
    http = () if "--dialect" in argv else ("--dialect", "http", "--path", "/x")
    error = refused("load", "1", *http, *argv, "-p", fleet)
    assert error.code is ExitCode.UNKNOWN
    assert store.runs() == []


def test_what_cannot_be_read_is_no_worse_run(fleet: str) -> None:
    for run_id in ("20261121-100000-smoke-aaaa", "20261121-110000-smoke-bbbb"):
        path = store.save(sample_run(run_id=run_id, seconds=9)) / "run.bin"
    path.write_bytes(b"nothing")
    gate = ("--fail-if-worse", "5%")
    assert refused("compare", "20261121-10", "20261121-11", *gate).code is ExitCode.UNKNOWN
    against = ("load", "1", "-p", fleet, "--against", "20261121-11", *gate)
    assert refused(*against).code is ExitCode.UNKNOWN


@pytest.mark.parametrize("text", ["abc", "101%", "-5%", "nan", "1e-2"])
def test_a_share_that_is_none_is_told_in_this_programs_words(fleet: str, text: str) -> None:
    error = refused("compare", "x", "--fail-if-worse", text)
    assert isinstance(error, UsageError)
    assert str(error) == f"--fail-if-worse: expected a share such as 99% or 0.99, got {text!r}"


def test_a_failed_run_is_a_baseline_only_by_force() -> None:
    run = sample_run(seconds=12)
    store.save(run)
    assert "--force" in refused("baseline").hint
    assert f"{run.id} is the baseline of smoke in dev" in call("baseline", "--force").output
    assert store.baselines() == {run.id}


def test_a_profile_is_validated_with_the_files_that_it_replays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "profiles"
    folder.mkdir()
    path = folder / "p.yaml"
    path.write_text(
        "name: x\nservers: [{name: one, url: 'http://h:1'}]\nloads:\n"
        "  - {name: day, mode: replay, replay: day.jsonl}\n"
        "  - name: night\n    mode: replay\n    replay: night.jsonl\n    arrivals: recorded\n"
    )
    # From the profile's folder, wherever the command is called.
    monkeypatch.chdir(tmp_path)

    def validate() -> list[str]:
        result = CliRunner().invoke(root, ["profile", "validate", str(path)], standalone_mode=False)
        return result.output.splitlines()

    first, second = validate()
    assert first.startswith(f"{path}:4:39: loads[0].replay: {folder}/day.jsonl: cannot be read")
    assert second.startswith(f"{path}:7:13: loads[1].replay: {folder}/night.jsonl: cannot be read")
    (folder / "day.jsonl").write_text('{"query": "q", "documents": ["d"]}\n')
    (folder / "night.jsonl").write_text('{"query": "q", "documents": ["d"]}\n')
    [told] = validate()
    assert told.endswith("there are no moments in it (give each line an `at`, in seconds)")
    line = {"at": 1.0, "body": {"query": "q", "documents": ["d"]}}
    (folder / "night.jsonl").write_text(json.dumps(line))
    assert validate() == [f"{path}: ok: x, 1 server, 0 daemons"]
