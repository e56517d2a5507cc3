from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.text import clean, clean_line, spans

HOSTILE = [
    "\x1b]52;c;aGFja2Vk\x07",
    "\x1b]52;c;aGFja2Vk",
    "\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\",
    "\x1b[2J\x1b[H",
    "\x1bP+q544e\x1b\\",
    "\x9b2J",
    "\x9d52;c;xx\x9c",
    "\x1b",
    "\x1b[",
    "\x00\x07\x08\x7f",
    "user\u202etxt.exe",
    "\u2066x\u2069",
    "\ud800",
    "\x1bc",
    "\x1b(0",
]


def is_safe(text: str) -> bool:
    """No character that a terminal acts on, or that reorders what is read."""
    return all(
        c in "\t\n" or unicodedata.category(c) not in ("Cc", "Cs") for c in text
    ) and not any(c in text for c in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_made_safe(text: str) -> None:
    assert is_safe(clean(f"a{text}b"))
    assert all(is_safe(span.text) for span in spans(f"a{text}b"))


@given(st.text())
def test_any_text_is_made_safe_and_stays_so(text: str) -> None:
    once = clean(text)
    assert is_safe(once)
    assert clean(once) == once


@given(st.text(alphabet=st.sampled_from("ab\x1b[]0;52cm?\x07\\\x9b\x9d\x90é")))
def test_pieces_of_escape_sequences_are_made_safe(text: str) -> None:
    assert is_safe(clean(text))
    assert all(is_safe(span.text) for span in spans(text))


def test_ordinary_text_is_untouched() -> None:
    text = "naïve café — 北京 🚀\n\tindented [/x] [@click=app.quit]"
    assert clean(text) == text


def test_controls_are_shown_as_pictures() -> None:
    assert clean("a\x00b\x7fc") == "a␀b␡c"


def test_an_unterminated_string_does_not_swallow_what_was_before() -> None:
    assert clean("before \x1b]0;title") == "before "


@pytest.mark.parametrize(
    "piece", ["\x9d", "\x1b]", "\x1bP", "\x1b[0;", "\x1b ", "\x90", "\x1b[1m"], ids=repr
)
def test_hostile_text_is_cleaned_in_linear_time(piece: str) -> None:
    # Quadratic, this took minutes: the test's time limit is what it is held against.
    evil = piece * 300_000 + "\x1bA"
    assert is_safe(clean(evil))
    assert all(is_safe(span.text) for span in spans(evil))


def test_a_stray_c1_byte_hides_nothing() -> None:
    assert clean("before\x9dafter") == "before\ufffdafter"


def test_colours_become_spans() -> None:
    assert [tuple(s) for s in spans("a\x1b[31mred\x1b[0m b\x1b[1;32mg")] == [
        ("a", ""), ("red", "31"), (" b", ""), ("g", "1;32"),
    ]  # fmt: skip


def test_a_line_is_one_line_and_short() -> None:
    assert clean_line("a\nb\tc") == "a⏎b c"
    assert clean_line("x" * 2_000_000, 10) == "xxxxxxxxx…"
