"""A group is ended as a whole, and what cannot be ended is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from opsconsole.daemon import group
from opsconsole.daemon.identity import Handle, Identity, identify
from tests.daemon.bed import alive, until

# A leader, a child in its group, a child in a group of its own but in the session.
FAMILY = """
import os, signal, sys, time
for number in range(2):
    if os.fork() == 0:
        if number:
            os.setpgid(0, 0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        break
print("up", flush=True)
while True:
    time.sleep(3600)
"""


@pytest.fixture
def family() -> Iterator[tuple[Identity, subprocess.Popen[bytes]]]:
    command = [sys.executable, "-S", "-c", FAMILY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as leader:
        assert leader.stdout is not None
        for _ in range(3):
            leader.stdout.readline()
        identity = identify(leader.pid)
        assert identity is not None
        known = group.members(identity)
        try:
            yield identity, leader
        finally:
            for pid, _ in known:
                if alive(pid):
                    os.kill(pid, signal.SIGKILL)


def test_members_are_of_the_group_or_the_session(
    family: tuple[Identity, subprocess.Popen[bytes]],
) -> None:
    leader, _ = family
    pids = {member.pid for member in group.members(leader)}
    assert len(pids) == 3
    assert leader.pid in pids
    assert {os.getsid(pid) for pid in pids} == {leader.pid}
    assert len({os.getpgid(pid) for pid in pids}) == 2
    assert os.getpid() not in pids


def test_a_leader_of_another_age_has_no_members(
    family: tuple[Identity, subprocess.Popen[bytes]],
) -> None:
    leader, _ = family
    assert group.members(leader._replace(start=leader.start - 1)) == []
    assert group.members(leader._replace(boot="elsewhere")) == []
    assert group.remnants(leader, "/a/log") == []


def test_all_are_ended(family: tuple[Identity, subprocess.Popen[bytes]]) -> None:
    leader, process = family
    pids = [member.pid for member in group.members(leader)]
    began = time.monotonic()
    assert group.end(leader, 0.3, Handle.claim(leader)) == []
    assert time.monotonic() - began >= 0.3
    assert not any(alive(pid) for pid in pids)
    assert process.wait(60) == -signal.SIGTERM  # the leader obeyed; the others had to be killed


def test_the_grace_period_is_not_waited_out_for_nothing() -> None:
    command = [sys.executable, "-S", "-c", "print(flush=True)\nimport time; time.sleep(3600)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        identity = until("an identity", lambda: identify(process.pid))
        began = time.monotonic()
        assert group.end(identity, 60.0, Handle.claim(identity)) == []
        assert time.monotonic() - began < 30


def test_what_kill_cannot_end_is_reported(
    family: tuple[Identity, subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process in uninterruptible sleep, which no test can make: signals are swallowed here."""
    leader, _ = family
    sent: list[int] = []
    monkeypatch.setattr(group, "signal_exactly", lambda pid, start, number: sent.append(number))
    monkeypatch.setattr(group, "KILL_PATIENCE", 0.2)
    left = group.end(leader, 0.1)
    assert sorted(left) == sorted(member.pid for member in group.members(leader))
    assert sent.count(signal.SIGTERM) == 3  # asked once each, then killed as often as it takes
    assert sent.count(signal.SIGKILL) >= 3
    assert sent.index(signal.SIGTERM) < sent.index(signal.SIGKILL)


def test_the_search_without_proc(
    family: tuple[Identity, subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    leader, process = family
    expected = {member.pid for member in group.members(leader)}
    mark = group.environ_of(os.getpid())
    monkeypatch.setattr(group, "LINUX", False)
    assert {member.pid for member in group.members(leader)} == expected
    assert group.environ_of(os.getpid()) == mark
    process.kill()
    process.wait()
    assert group.environ_of(process.pid) == {}
