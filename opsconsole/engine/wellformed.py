"""Text that UTF-8 can carry: the tokenizer and the pipe both refuse lone surrogates."""

from __future__ import annotations

import re

_SURROGATES = re.compile("[\ud800-\udfff]")


def well_formed(text: str) -> str:
    """``text`` with each lone surrogate as U+FFFD, so that any ``str`` can be scored.

    JSON allows ``"\\ud800"``, so a client can send one; everything below speaks UTF-8.
    """
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)
