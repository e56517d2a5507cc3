from __future__ import annotations

from pathlib import Path

import pytest

from opsconsole.balancer.preconditions import one_key
from opsconsole.errors import OpsError, UsageError
from opsconsole.profile import Secret, Server


def keyed(number: int, path: Path | None) -> Server:
    key = Secret(file=path) if path is not None else None
    return Server(name=f"s{number}", url=f"http://127.0.0.1:{number}", api_key=key)


def test_servers_with_different_keys_cannot_be_asked_through_one_balancer(tmp_path: Path) -> None:
    one, same, other = (tmp_path / name for name in ("one", "same", "other"))
    for path, key in ((one, "alice-0123456789"), (same, "alice-0123456789"), (other, "bob-01234")):
        path.write_text(key)
        path.chmod(0o600)
    assert one_key([keyed(1, None), keyed(2, None)]) is None
    found = one_key([keyed(1, None), keyed(2, one), keyed(3, same)])
    assert found is not None
    assert found.reveal() == "alice-0123456789"
    with pytest.raises(UsageError, match="s1 and s3 have different keys") as refused:
        one_key([keyed(1, one), keyed(2, same), keyed(3, other)])
    assert "alice" not in str(refused.value)
    with pytest.raises(OpsError):
        one_key([keyed(1, tmp_path / "none")])
