"""Where results go: through links, and never in the place of a device."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from opsconsole.cli.output import check_output, write
from opsconsole.errors import UsageError


def test_a_link_is_written_through(tmp_path: Path) -> None:
    real = tmp_path / "available" / "site.conf"
    real.parent.mkdir()
    real.write_text("old")
    link = tmp_path / "site.conf"
    link.symlink_to(real)
    write("new", link)
    assert link.is_symlink()
    assert real.read_text() == "new"


def test_a_link_to_a_device_of_this_process_is_no_file_to_be_replaced(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT)
    try:
        link = tmp_path / "stdout"
        link.symlink_to(f"/proc/self/fd/{descriptor}")
        check_output(link)
        write("told\n", link)
        assert link.is_symlink()
        assert target.read_text() == "told\n"
    finally:
        os.close(descriptor)


def test_a_folder_that_is_not_there_is_said_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing can be written there"):
        check_output(tmp_path / "missing" / "report.txt")
