from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

from opsconsole.engine.cache import ENTRY_BYTES, ScoreCache, text_keys
from opsconsole.engine.records import Options

DEFAULT = Options()


def pair_key(query: str | None, document: str, options: Options = DEFAULT) -> bytes:
    return text_keys(options, query, [document])[0]


def test_the_least_recently_used_entry_goes_first() -> None:
    cache = ScoreCache(3 * ENTRY_BYTES + 1)
    keys = [pair_key("q", text) for text in "abcd"]
    cache.put_many(zip(keys[:3], (0.1, 0.2, 0.3), strict=True))
    assert cache.get_many(keys[:1]) == [0.1]  # "a" is now the youngest
    cache.put_many([(keys[3], 0.4)])
    assert cache.get_many(keys) == [0.1, None, 0.3, 0.4]
    assert len(cache) == 3
    assert cache.size_bytes == 3 * ENTRY_BYTES


def test_keys_do_not_confuse_where_the_query_ends() -> None:
    assert pair_key("a", "bc") != pair_key("ab", "c")
    assert pair_key("", "a") != pair_key("a", "")
    assert pair_key("q", "\ud800") != pair_key("q", "\ufffd")


def test_keys_tell_apart_what_changes_the_score() -> None:
    cuts = [
        Options(),
        Options(truncate=False),
        Options(truncation_side="left"),
        Options(max_tokens_per_query=1),
        Options(max_tokens_per_doc=1),
        Options(max_chunks_per_doc=2),
    ]
    assert len({pair_key("q", "d", options) for options in cuts}) == len(cuts)
    same = [Options(), Options(activation="none"), Options(weight=2), Options(deadline=1)]
    assert len({pair_key("q", "d", options) for options in same}) == 1
    # A text on its own has no query, so its limit is of no account.
    assert pair_key(None, "d") == pair_key(None, "d", cuts[3]) != pair_key("", "d")


def test_no_capacity_keeps_nothing() -> None:
    cache = ScoreCache(0)
    cache.put_many([(pair_key("q", "d"), 1.0)])
    assert cache.get_many([pair_key("q", "d")]) == [None]


def test_an_entry_costs_no_more_than_is_accounted() -> None:
    cache = ScoreCache(1 << 30)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        cache.put_many((pair_key("q", str(i)), i / 7) for i in range(50_000))
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert 0.5 * cache.size_bytes < used <= 1.1 * cache.size_bytes


def test_many_threads() -> None:
    cache = ScoreCache(100 * ENTRY_BYTES)

    def use(thread: int) -> None:
        for i in range(500):
            key = pair_key("q", f"{thread % 2} {i}")
            cache.put_many([(key, float(i))])
            assert cache.get_many([key])[0] in (None, float(i))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, range(4)))
    assert len(cache) == 100
