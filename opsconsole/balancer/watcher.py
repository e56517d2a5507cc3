"""``python -m opsconsole.balancer.watcher FOLDER COMMAND…``: nginx, ended with our input.

Whoever started this may be killed without a word: then its end of the pipe closes, nginx ends, and
the folder goes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

GRACE = 3.0
ENDED = "ended"
"""File in the folder: the exit code of an nginx that ended by itself."""


def watch(folder: str, command: list[str]) -> int:
    """Run ``command`` until it ends or standard input does; its exit code."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:

        def let_go() -> None:
            with contextlib.suppress(OSError):
                while os.read(0, 4096):
                    pass
            end(process)

        threading.Thread(target=let_go, daemon=True).start()
        code = process.wait()
    # Ended by itself: whoever asked reads why, and closes then. Its workers would go on without it.
    with contextlib.suppress(OSError):
        Path(folder, ENDED).write_text(str(code))
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGTERM)
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    shutil.rmtree(folder, ignore_errors=True)
    return code


def end(process: subprocess.Popen[bytes]) -> None:
    """Requests in flight may end; then it ends anyway."""
    for signum in (signal.SIGQUIT, signal.SIGTERM, signal.SIGKILL):
        process.send_signal(signum)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
            return


if __name__ == "__main__":
    # Also for the group: it is sent there when nginx has ended.
    for _signum in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(_signum, signal.SIG_IGN)
    sys.exit(watch(sys.argv[1], sys.argv[2:]))
