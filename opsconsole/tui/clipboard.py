"""Copying, over SSH too: the terminal's own clipboard through OSC 52, inside tmux as well."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from opsconsole import paths

# Terminals cut or refuse longer ones; xterm's limit, the lowest in wide use.
OSC52_LIMIT = 74_994
_NATIVE = (
    ("WAYLAND_DISPLAY", ("wl-copy",)),
    ("DISPLAY", ("xclip", "-selection", "clipboard")),
    ("DISPLAY", ("xsel", "--clipboard", "--input")),
)


def osc52(text: str, environ: Mapping[str, str]) -> str | None:
    """The sequence that puts ``text`` on the terminal's clipboard; None when it is too long.

    Source: xterm ctlseqs "Manipulate Selection Data"; tmux passes it on only when it is wrapped in
    its DCS, with every ESC doubled (tmux(1), allow-passthrough), screen likewise in pieces.
    """
    payload = base64.b64encode(text.encode("utf-8", "replace")).decode()
    if len(payload) > OSC52_LIMIT:
        return None
    sequence = f"\x1b]52;c;{payload}\x07"
    if environ.get("TMUX"):
        # Bare for `set-clipboard on`, wrapped for `allow-passthrough on`: one of them arrives.
        wrapped = sequence.replace("\x1b", "\x1b\x1b")
        return f"{sequence}\x1bPtmux;{wrapped}\x1b\\"
    if environ.get("TERM", "").startswith("screen"):
        pieces = [sequence[i : i + 250] for i in range(0, len(sequence), 250)]
        return "".join(f"\x1bP{piece}\x1b\\" for piece in pieces)
    return sequence


def native(text: str, environ: Mapping[str, str]) -> bool:
    """Copy with this machine's own tool; False when there is none or the operator is remote."""
    if environ.get("SSH_TTY") or environ.get("SSH_CONNECTION"):
        return False
    commands = [command for variable, command in _NATIVE if environ.get(variable)]
    if sys.platform == "darwin":
        commands.insert(0, ("pbcopy",))
    for command in commands:
        if shutil.which(command[0]) is None:
            continue
        try:
            done = subprocess.run(
                command,
                input=text.encode("utf-8", "replace"),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=2,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0:
            return True
    return False


def environment() -> Mapping[str, str]:
    """The process's environment; here so that tests can give another."""
    return os.environ


def save(text: str) -> Path:
    """Write what is too long for a clipboard to a private file."""
    path = paths.private_dir(paths.state_dir() / "copies") / f"copy-{time.strftime('%H%M%S')}.txt"
    paths.write_atomic(path, text.encode("utf-8", "replace"))
    return path


def copy(text: str, what: str, write: Callable[[str], object] | None) -> tuple[str, str]:
    """Put ``text`` on the operator's clipboard.

    Args:
        what: Its name for people, such as "the page".
        write: Writes to the terminal; None where there is none.

    Returns:
        What to say about it, and ``information`` or ``warning``.
    """
    environ = environment()
    if native(text, environ):
        return f"copied {what}", "information"
    sequence = osc52(text, environ)
    if sequence is None:
        try:
            where = f"saved to {save(text)}"
        except OSError as error:
            where = f"and it cannot be saved: {error.strerror}"
        return f"too long for the terminal's clipboard; {where}", "warning"
    if write is None:
        return f"there is no terminal to copy {what} with", "warning"
    write(sequence)
    return f"copied {what} (through the terminal)", "information"
