"""``python -m opsconsole.daemon.keeper FOLDER [--adopt]``: the parent that a daemon's server has.

One small process a daemon, in a session of its own: it outlives the console and the login. It
imports the standard library's small modules only (no msgspec, asyncio, subprocess, pathlib).

SIGTERM or SIGINT: end the server and leave. SIGUSR1: do not wait for the backoff.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import NoReturn

from opsconsole.daemon.folder import Folder, remove
from opsconsole.daemon.identity import identify
from opsconsole.daemon.notes import open_notes, say
from opsconsole.daemon.supervise import Supervisor
from opsconsole.errors import OpsError


def main(arguments: list[str]) -> NoReturn:
    """Go to the background; ends with 0 once the keeper keeps, else says why on stderr."""
    folder = Folder(os.path.abspath(arguments[0]))
    adopt = "--adopt" in arguments[1:]
    told, tell = os.pipe()
    if os.fork():
        os.close(tell)
        with open(told, "rb") as stream:
            said = stream.read()
        if said != b"ok":
            os.write(2, said or b"the keeper died at once")
        os._exit(0 if said == b"ok" else 1)
    code = 1
    try:
        os.close(told)
        os.setsid()
        os.chdir("/")
        _redirect(folder)
        _keep(folder, adopt, tell)
        code = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def _redirect(folder: Folder) -> None:
    """No terminal, no pipe of the console: they end before we do."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    open_notes(folder.keeper_log)


def _keep(folder: Folder, adopt: bool, tell: int) -> None:
    """Watch the server; ``tell`` is where the launcher hears that we do, or why not."""
    try:
        supervisor = _begin(folder, adopt)
    except (OSError, ValueError, OpsError) as error:
        say(f"not kept: {error}")
        os.write(tell, str(error).encode())
        return
    os.write(tell, b"ok")
    os.close(tell)
    if not adopt:
        supervisor.launch()
    supervisor.run()
    say("the keeper leaves")


def _begin(folder: Folder, adopt: bool) -> Supervisor:
    lock = folder.become_keeper()
    if lock is None:
        raise OpsError("another keeper keeps this daemon")
    identity = identify(os.getpid())
    assert identity is not None
    os.pwrite(lock, json.dumps(identity._asdict()).encode(), 0)
    spec = folder.read_spec()
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_read, False)
    os.set_blocking(wake_write, False)
    supervisor = Supervisor(folder, spec, wake_read)

    def stop(*_: object) -> None:
        supervisor.stop_asked = True

    def retry(*_: object) -> None:
        supervisor.retry_asked = True

    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGUSR1, retry)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    if adopt:
        supervisor.adopt(folder.read_record())
    else:
        remove(folder.pid)
        supervisor.prepare()
    return supervisor


if __name__ == "__main__":
    main(sys.argv[1:])
