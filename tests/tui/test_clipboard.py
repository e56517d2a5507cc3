from __future__ import annotations

import base64
import stat

from opsconsole.tui import clipboard


def test_plain_terminals_get_one_sequence() -> None:
    sequence = clipboard.osc52("héllo", {"TERM": "xterm"})
    assert sequence == f"\x1b]52;c;{base64.b64encode('héllo'.encode()).decode()}\x07"


def test_inside_tmux_it_is_wrapped_with_every_escape_doubled() -> None:
    sequence = clipboard.osc52("x", {"TMUX": "/tmp/s,1,0", "TERM": "tmux-256color"})
    assert sequence is not None
    bare, wrapped = sequence.split("\x1bPtmux;")
    assert wrapped == bare.replace("\x1b", "\x1b\x1b") + "\x1b\\"


def test_inside_screen_it_comes_in_pieces() -> None:
    sequence = clipboard.osc52("x" * 1000, {"TERM": "screen"})
    assert sequence is not None
    pieces = sequence.split("\x1b\\")[:-1]
    assert len(pieces) > 1
    assert all(piece.startswith("\x1bP") and len(piece) <= 252 for piece in pieces)


def test_what_is_too_long_goes_to_a_private_file() -> None:
    text = "é" * 60_000
    assert clipboard.osc52(text, {}) is None
    path = clipboard.save(text)
    assert path.read_text() == text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_far_machines_own_clipboard_is_not_the_operators() -> None:
    assert not clipboard.native("x", {"SSH_CONNECTION": "a b c d", "DISPLAY": ":0"})
    assert not clipboard.native("x", {})
