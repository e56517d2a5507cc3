"""Recordings that are none, from the console's first look to the exit code; and how long one is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from opsconsole.errors import UsageError
from opsconsole.load.modes import plan_for
from opsconsole.load.summary import law
from opsconsole.load.work.replay import outline
from tests.load.work.making import made

DEEP = "[" * 200_000
LINE = '{"body": {"query": "q", "documents": ["a"]}, "at": %s}'


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        (DEEP, ":1", "not JSON"),
        ('{"body": ' + DEEP, ":1", "not JSON"),
        ('{"body": {}, "at": "1"}', ":1", "`at` is no number"),
        ('{"body": {}, "at": 1e999}', ":1", "`at` is no number"),
        ('{"body": {}, "at": NaN}', ":1", "not JSON"),
        ('{"body": {}, "at": 1, "more": 1}', ":1", "another key"),
        (LINE % 1 + "\n\n" + LINE % '"x"', ":3", "`at` is no number"),
        ("\n \n", "", "no request in it"),
    ],
    ids=["deep", "deep body", "text", "infinite", "nan", "another key", "last line", "empty"],
)
def test_a_mistake_is_one_for_console_and_generator(
    tmp_path: Path, text: str, where: str, what: str
) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(text)
    for look in (
        lambda: plan_for("replay", replay=str(path)),
        lambda: made(replay=str(path)),
    ):
        with pytest.raises(UsageError, match=what) as caught:
            look()
        assert caught.value.where == f"{path}{where}"


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in ("/dev/zero", str(tmp_path / "pipe"), str(tmp_path)):
        with pytest.raises(UsageError, match="not a plain file"):
            plan_for("replay", replay=path)


def test_the_console_reads_no_line_without_bound(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with path.open("wb") as file:
        file.truncate(1 << 34)  # 16 GiB of nothing, and no line's end in it
    with pytest.raises(UsageError, match="longer than 64 MiB"):
        plan_for("replay", replay=str(path))


def test_other_keys_are_a_body_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text('{"at": "noon", "what": 1}\n')
    assert outline(path)[:2] == (1, None)
    assert made(dialect="http", method="POST", path="/", replay=str(path)).count == 1


def test_the_length_of_a_recording_is_said(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text("\n".join(LINE % at for at in (5.5, 7, 94608005.5)))
    plan = plan_for("replay", replay=str(path))
    assert outline(path)[:2] == (3, 94608000.0)
    assert law(plan.phases[-1]) == "as recorded over 1095d"
    path.write_text(json.dumps({"query": "q", "documents": []}))
    with pytest.raises(UsageError, match="no moments"):
        plan_for("replay", replay=str(path), arrivals="recorded")


def test_mistakes_of_the_file_are_mistakes_of_usage(tmp_path: Path) -> None:
    """Those too which only the generator finds: 2 would say that a threshold is broken."""
    path = tmp_path / "r.jsonl"
    path.write_text("\n".join((LINE % 3, LINE % 1, LINE % 4)))
    done = subprocess.run(
        [sys.executable, "-m", "opsconsole", "load", "replay", "--replay", str(path),
         "--url", "http://127.0.0.1:9"],
        capture_output=True, text=True, check=False, timeout=60,
        env=os.environ | {"XDG_STATE_HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 64, done.stdout + done.stderr
    assert "r.jsonl:2: at 1 comes before 3" in done.stderr
