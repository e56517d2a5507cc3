from __future__ import annotations

import os
import stat
import threading

import pytest

from opsconsole.actions import audit
from opsconsole.actions.perform import perform
from opsconsole.errors import OpsError
from opsconsole.profile import Profile, Server


def record(target: str) -> audit.Record:
    return audit.Record(at=1.0, operator="me", via="cli", action="server.stop", profile="p",
                        target=target, outcome="STOPPED")  # fmt: skip


def test_records_come_back_in_order_and_are_private() -> None:
    for name in "abc":
        audit.write(record(name))
    assert [r.target for r in audit.read()] == ["a", "b", "c"]
    assert [r.target for r in audit.read(2)] == ["b", "c"]
    assert stat.S_IMODE(os.stat(audit.audit_path()).st_mode) == 0o600


def test_many_writers_never_mix_lines() -> None:
    threads = [
        threading.Thread(target=lambda i=i: [audit.write(record(f"{i}" * 200)) for _ in range(50)])
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(audit.read(10_000)) == 400


def test_half_a_line_of_a_dead_console_is_skipped() -> None:
    audit.write(record("a"))
    with audit.audit_path().open("ab") as stream:
        stream.write(b'{"at": 1.0, "oper\n')
    audit.write(record("b"))
    assert [r.target for r in audit.read()] == ["a", "b"]


def test_acting_on_what_is_not_ours_is_refused() -> None:
    server = Server(name="far", url="http://far:1")
    with pytest.raises(OpsError, match="not run by opsconsole"):
        perform("server.stop", Profile(name="p", servers=(server,)), server, via="cli")
