"""Rates: the bucket by a clock of the test's own, then on the wire."""

from __future__ import annotations

import math

import pytest

from opsconsole.errors import UsageError
from opsconsole.server.limits import MOST_CLIENTS, Quota, Rate, RateLimiter, peer, whole_seconds
from tests.server.process import ServerProcess

KEYS = {"alice": "alice-key-0123456789", "bob": "bob-key-0123456789"}


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("20/s", Rate(20, 1.0, 20)),
        ("600/m", Rate(600, 60.0, 600)),
        ("1000/h", Rate(1000, 3600.0, 1000)),
        ("20/s:40", Rate(20, 1.0, 40)),
        (" 5 / m : 1 ", Rate(5, 60.0, 1)),
    ],
)
def test_rates(text: str, rate: Rate) -> None:
    assert Rate.parse(text) == rate


@pytest.mark.parametrize(
    "text", ["", "20", "20/d", "0/s", "-1/s", "1.5/s", "20/s:0", "20/s:", "٢/s", "20/s:40:60"]
)
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(UsageError, match=r"RATE_LIMIT is .* expected a rate such as 20/s"):
        Rate.parse(text)


def test_a_burst_then_the_rate() -> None:
    clock = Clock()
    limiter = RateLimiter(Rate(10, 1.0, 3), clock)
    assert [limiter.take("a").remaining for _ in range(3)] == [2, 1, 0]
    refused = limiter.take("a")
    assert refused == Quota(pytest.approx(0.1, abs=1e-5), 0, pytest.approx(0.3, abs=1e-5))
    assert limiter.take("b").wait == 0  # each has a bucket of its own
    clock.now += 0.099
    assert limiter.take("a").wait == pytest.approx(0.001, abs=1e-5)
    clock.now += 0.001
    assert limiter.take("a").wait == 0
    assert limiter.take("a").wait == pytest.approx(0.1, abs=1e-5)
    clock.now += 3600
    assert limiter.take("a") == Quota(0.0, 2, pytest.approx(0.1, abs=1e-5))


def test_being_refused_costs_nothing() -> None:
    clock = Clock()
    limiter = RateLimiter(Rate(1, 1.0, 1), clock)
    limiter.take("a")
    for _ in range(1000):
        assert limiter.take("a").wait == pytest.approx(1.0, abs=1e-5)
    clock.now += 1.0
    assert limiter.take("a").wait == 0


@pytest.mark.parametrize("rate", [Rate(3, 1.0, 7), Rate(1000, 3600.0, 1000), Rate(7, 60.0, 1)])
def test_over_a_long_time_it_is_the_rate(rate: Rate) -> None:
    clock = Clock()
    limiter = RateLimiter(rate, clock)
    taken = 0
    steps = 20_000
    for _ in range(steps):
        taken += limiter.take("a").wait == 0
        clock.now += rate.period / rate.requests / 4
    assert taken == pytest.approx(rate.burst + steps / 4, abs=2)


def test_after_the_time_that_it_said_another_is_taken() -> None:
    clock = Clock()
    limiter = RateLimiter(Rate(7, 60.0, 2), clock)
    for _ in range(200):
        wait = limiter.take("a").wait
        if wait:
            clock.now += whole_seconds(wait)
            assert limiter.take("a").wait == 0
        clock.now += 1.7


def test_memory_is_bounded() -> None:
    clock = Clock()
    limiter = RateLimiter(Rate(1, 1.0, 10), clock)
    for number in range(5_000):
        limiter.take(f"peer {number}")
        clock.now += 0.01
    assert len(limiter) < 2_100  # a hundred of them still have something to fill up
    slow = RateLimiter(Rate(1, 3600.0, 1), clock)
    for number in range(MOST_CLIENTS + 5_000):
        slow.take(f"peer {number}")
    assert 0.8 * MOST_CLIENTS <= len(slow) <= MOST_CLIENTS
    assert slow.take("peer 0").wait == 0  # whoever was first seen longest ago was forgotten
    assert slow.take(f"peer {MOST_CLIENTS + 4_999}").wait > 0


@pytest.mark.parametrize(
    ("address", "who"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
    ],
)
def test_whose_address_it_is(address: str, who: str) -> None:
    assert peer(address) == who


def ask(server: ServerProcess, who: str) -> tuple[int, dict[str, str]]:
    headers = {"Authorization": f"Bearer {KEYS[who]}"}
    answer = server.post("/rerank", headers=headers, content=b"{}")
    return answer.status_code, dict(answer.headers)


def test_one_abusive_key_leaves_the_others_alone() -> None:
    env = {"API_KEYS": ",".join(f"{n}:{k}" for n, k in KEYS.items()), "RATE_LIMIT": "2/m:3"}
    with ServerProcess(env, wait="listening") as server:
        statuses = [ask(server, "alice")[0] for _ in range(20)]
        assert 429 not in statuses[:3]
        assert statuses[3:] == [429] * 17
        status, headers = ask(server, "alice")
        assert status == 429
        assert 1 <= int(headers["retry-after"]) <= 30
        assert headers["ratelimit-limit"] == "3"
        assert headers["ratelimit-remaining"] == "0"
        assert math.ceil(60 / 2 * 2) < int(headers["ratelimit-reset"]) <= 90
        assert ask(server, "bob")[0] != 429
        shown = {"x-api-key": KEYS["alice"]}
        for path in ("/health", "/metrics", "/live"):
            answer = server.get(path, headers=shown)
            assert answer.status_code in (200, 503)
            assert "ratelimit-limit" not in answer.headers
        # Who has no key takes nothing from those who have.
        assert server.post("/rerank", content=b"{}").status_code == 401


def test_without_keys_it_is_by_address() -> None:
    with ServerProcess({"RATE_LIMIT": "1/h"}, wait="healthy") as server:
        body = {"query": "q", "documents": ["a"]}
        first = server.post("/v1/rerank", json=body)
        assert first.status_code == 200
        assert first.headers["ratelimit-remaining"] == "0"
        refused = server.post("/v1/rerank", json=body)
        assert refused.status_code == 429
        assert refused.json()["error"]["type"] == "rate_limited"
        assert 3500 < int(refused.headers["retry-after"]) <= 3600
        assert server.get("/health").status_code == 200
