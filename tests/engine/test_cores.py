from __future__ import annotations

import os
from pathlib import Path

import pytest

from opsconsole.engine import cores


@pytest.mark.parametrize(
    ("text", "quota"),
    [("max 100000\n", None), ("150000 100000\n", 1.5), ("50000 100000", 0.5), ("rubbish", None)],
)
def test_the_control_groups_quota(
    text: str, quota: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "_V1_QUOTA", tmp_path / "none")
    monkeypatch.setattr(cores, "_CPU_MAX", tmp_path / "cpu.max")
    (tmp_path / "cpu.max").write_text(text)
    assert cores._quota() == quota
    assert 1 <= cores.usable_cores() <= (os.cpu_count() or 1)
    if quota is not None:
        assert cores.usable_cores() <= max(1, round(quota + 0.5))


@pytest.mark.parametrize(("quota", "expected"), [("-1", None), ("300000", 3.0)])
def test_version_1(
    quota: str, expected: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "_CPU_MAX", tmp_path / "none")
    monkeypatch.setattr(cores, "_V1_QUOTA", tmp_path / "quota")
    monkeypatch.setattr(cores, "_V1_PERIOD", tmp_path / "period")
    (tmp_path / "quota").write_text(quota)
    (tmp_path / "period").write_text("100000")
    assert cores._quota() == expected
