from __future__ import annotations

import pytest

from opsconsole.server.info import _is_near


@pytest.mark.parametrize(
    ("client", "near"),
    [
        (("127.0.0.1", 1), True), (("127.8.8.8", 1), True), (("::1", 1), True),
        (("10.0.0.5", 1), False), (("2001:db8::1", 1), False), (("testclient", 1), False),
        (None, False),
    ],
)  # fmt: skip
def test_who_is_told_the_pid(client: tuple[str, int] | None, near: bool) -> None:
    assert _is_near({"client": client}) is near
