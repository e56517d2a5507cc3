"""The console in a real terminal (a pty): how it comes up, and how it leaves in every way."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import stat
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.net import free_port

ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"
MOUSE_ON, MOUSE_OFF = b"\x1b[?1000h", b"\x1b[?1000l"


class Terminal:
    """A program under a pty of 80x24; everything that it writes is kept."""

    def __init__(self, *argv: str, code: str | None = None, **env: str) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(slave)
        command = [sys.executable, "-c", code] if code else [sys.executable, "-m", "opsconsole"]
        self.process = subprocess.Popen(
            [*command, *argv],
            stdin=slave, stdout=slave, stderr=slave, close_fds=True, start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8", **env},
        )  # fmt: skip
        self.slave = slave
        self.output = b""

    def read_until(self, wanted: bytes, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while wanted not in self.output:
            left = deadline - time.monotonic()
            assert left > 0, f"{wanted!r} did not come:\n{self.output[-3000:]!r}"
            if select.select([self.master], [], [], min(left, 0.2))[0]:
                with contextlib.suppress(OSError):
                    self.output += os.read(self.master, 65536)

    def wait(self, seconds: float = 60) -> int:
        deadline = time.monotonic() + seconds
        while (code := self.process.poll()) is None:
            assert time.monotonic() < deadline, "the console does not end"
            if select.select([self.master], [], [], 0.1)[0]:
                self.output += os.read(self.master, 65536)
        while select.select([self.master], [], [], 0.1)[0]:
            self.output += os.read(self.master, 65536)
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.slave)
        os.close(self.master)


@pytest.fixture
def profile(tmp_path: Path) -> str:
    path = tmp_path / "far.yaml"
    url = f"http://127.0.0.1:{free_port()}"
    path.write_text(f"name: far\nservers: [{{name: a, url: '{url}'}}]\n")
    return str(path)


@pytest.fixture
def terminal(profile: str) -> Iterator[Terminal]:
    opened = Terminal("-p", profile)
    yield opened
    opened.close()


def assert_restored(terminal: Terminal) -> None:
    assert terminal.output.rindex(LEAVE) > terminal.output.rindex(ENTER)
    assert terminal.output.rindex(MOUSE_OFF) > terminal.output.rindex(MOUSE_ON)
    assert termios.tcgetattr(terminal.slave)[3] == terminal.before[3]  # echo, canonical mode


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_give_the_terminal_back(terminal: Terminal, number: int, code: int) -> None:
    terminal.read_until(b"down")
    terminal.process.send_signal(number)
    assert terminal.wait() == code
    assert_restored(terminal)


def test_q_leaves_and_ctrl_c_twice_too(terminal: Terminal, profile: str) -> None:
    terminal.read_until(b"down")
    os.write(terminal.master, b"q")
    assert terminal.wait() == 0
    assert_restored(terminal)
    second = Terminal("-p", profile)
    try:
        second.read_until(b"down")
        os.write(second.master, b"\x03")
        second.read_until(b"ctrl+c again leaves")
        os.write(second.master, b"\x03")
        assert second.wait() == 0
        assert_restored(second)
    finally:
        second.close()


def test_what_native_code_writes_on_fd_2_does_not_reach_the_screen(
    profile: str, own_folders: Path
) -> None:
    code = (
        "import os, sys, threading\n"
        "from opsconsole.profile import load\n"
        "from opsconsole.tui import run\n"
        "from time import sleep\n"
        "here = os.fstat(2).st_rdev\n"
        "def noise():\n"
        "    while os.fstat(2).st_rdev == here: sleep(0.01)\n"
        "    os.write(2, b'NATIVE-NOISE')\n"
        "threading.Thread(target=noise, daemon=True).start()\n"
        f"sys.exit(run(load({profile!r})))\n"
    )
    terminal = Terminal(code=code)
    try:
        terminal.read_until(b"down")
        log = own_folders / "xdg_state_home" / "opsconsole" / "stderr.log"
        deadline = time.monotonic() + 20
        while not log.exists() or b"NATIVE-NOISE" not in log.read_bytes():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.write(terminal.master, b"q")
        assert terminal.wait() == 0
        assert b"NATIVE-NOISE" not in terminal.output
    finally:
        terminal.close()


def test_a_terminal_that_is_gone_costs_no_traceback(tmp_path: Path) -> None:
    said = tmp_path / "said"
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from opsconsole.tui.terminal import guarded_stderr\n"
        "try:\n"
        "    with guarded_stderr():\n"
        "        sys.stdin.read()\n"
        "        sys.__stderr__.buffer.write(b'x')\n"
        "except OSError as error:\n"
        "    said = str(error)\n"
        "else:\n"
        "    said = 'nothing'\n"
        "Path(sys.argv[1]).write_text(said)\n"
    )
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(said)], stdin=subprocess.PIPE, stdout=slave, stderr=slave,
        start_new_session=True,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
    )  # fmt: skip
    os.close(slave)
    os.close(master)
    process.communicate(timeout=20)
    assert said.read_text() == "nothing"


def test_a_terminal_that_is_gone_ends_a_console_that_gets_no_signal(
    profile: str, own_folders: Path
) -> None:
    opened = Terminal("-p", profile)  # no session leader's terminal: nobody sends SIGHUP
    try:
        opened.read_until(b"down")
        os.close(opened.slave)
        os.close(opened.master)
        assert opened.process.wait(20) == 129
    finally:
        if opened.process.poll() is None:
            opened.process.kill()
            opened.process.wait()
    said = own_folders / "xdg_state_home" / "opsconsole" / "stderr.log"
    assert "Traceback" not in said.read_text()


def test_a_crash_restores_the_terminal_and_tells_no_secrets(
    profile: str, own_folders: Path
) -> None:
    code = (
        "import sys\n"
        "from opsconsole.profile import load\n"
        "import opsconsole.tui.app as app\n"
        "from opsconsole.tui import run\n"
        "def broken(self):\n"
        "    api_key = 'SECRET-TOKEN'\n"
        "    raise RuntimeError('a fault')\n"
        "app.ConsoleApp._redraw = broken\n"
        f"sys.exit(run(load({profile!r})))\n"
    )
    terminal = Terminal(code=code)
    try:
        assert terminal.wait() == 1
        assert_restored(terminal)
        assert b"opsconsole crashed: RuntimeError" in terminal.output
        assert b"SECRET-TOKEN" not in terminal.output
        (trace,) = (own_folders / "xdg_state_home" / "opsconsole").glob("crash-*.log")
        assert stat.S_IMODE(trace.stat().st_mode) == 0o600
        assert "RuntimeError: a fault" in trace.read_text()
        assert "in broken" in trace.read_text()
    finally:
        terminal.close()


def test_a_resize_is_followed(terminal: Terminal) -> None:
    terminal.read_until(b"down")
    fcntl.ioctl(terminal.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 40, 0, 0))
    terminal.process.send_signal(signal.SIGWINCH)
    terminal.output = b""
    terminal.read_until(b"STATE")
    os.write(terminal.master, b"q")
    assert terminal.wait() == 0


def test_without_a_terminal_it_says_what_to_use() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "opsconsole"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 64
    assert "--check" in done.stderr
    assert "Traceback" not in done.stderr
