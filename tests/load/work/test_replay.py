"""Recordings: their lines, their moments, their mistakes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from opsconsole.errors import OpsError
from tests.load.work.making import TARGET, body_of, made, parted

BODY: dict[str, Any] = {"query": "q", "documents": ["a", {"text": "b"}, "ü"], "top_n": 2}


def written(path: Path, *lines: object) -> str:
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text("\n".join(texts) + "\n")
    return str(path)


def test_bodies_go_out_as_they_are_and_round(tmp_path: Path) -> None:
    odd = '{ "query":"ü" ,"documents" : ["\\u00fc"], "x": 1e2 }'
    path = written(tmp_path / "r.jsonl", "\ufeff" + odd, "", BODY, {"body": BODY})
    requests = made(replay=path)
    assert requests.count == 3
    assert parted(requests.next(0).data)[2].decode() == odd
    two = requests.next(0)
    assert body_of(two.data) == BODY
    assert two.pairs == 3
    assert two.check is not None
    best = {"results": [{"index": 2, "relevance_score": 1}, {"index": 0, "relevance_score": 0}]}
    assert two.check(200, json.dumps(best).encode()) is None
    assert body_of(requests.next(0).data) == BODY
    assert parted(requests.next(0).data)[2].decode() == odd
    assert not requests.end


def test_moments(tmp_path: Path) -> None:
    lines = [{"at": 100.5 + i, "body": {**BODY, "query": str(i)}} for i in range(5)]
    path = written(tmp_path / "r.jsonl", *lines)
    requests = made(replay=path)
    found = []
    while not requests.end:
        found.append(requests.next(0))
    assert [one.at for one in found] == [0, 1, 2, 3, 4]
    assert [body_of(one.data)["query"] for one in found] == list("01234")
    requests.rewind()
    assert not requests.end
    assert requests.next(0).at == 0
    second = made(TARGET, replay=path, share=1, shares=2)
    assert [second.next(0).at for _ in range(second.count)] == [1, 3]
    assert made(replay=path, share=6, shares=7).end


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["{", "{}"], r"r.jsonl:1: it is not JSON"),
        (["{}", "nope"], r"r.jsonl:2: it is not JSON"),
        (['{"at": 2, "body": {}}', '{"at": 1, "body": {}}'], "r.jsonl:2: at 1 comes before 2"),
        (['{"at": 2, "body": {}}', '{"body": {}}'], "r.jsonl:2: some lines"),
        (['{"body": {}}', '{"at": 2, "body": {}}'], "r.jsonl:2: some lines"),
        (['{"at": 1e300, "body": {}}'], "r.jsonl:1: `at` is no number"),
        (['{"body": "text"}'], "r.jsonl:1: .*dialect http"),
        ([""], "no request"),
    ],
)
def test_mistakes(tmp_path: Path, lines: list[str], problem: str) -> None:
    with pytest.raises(OpsError, match=problem):
        made(replay=written(tmp_path / "r.jsonl", *lines))


def test_files_that_are_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(OpsError, match="plain file"):
            made(replay=str(path))


def test_a_file_that_is_cut_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    requests = made(replay=written(path, BODY, BODY))
    path.write_text("{}")
    with pytest.raises(OpsError, match="cut while"):
        requests.next(0)


def test_any_bodies_of_http(tmp_path: Path) -> None:
    path = written(tmp_path / "r.jsonl", {"body": 'a "text"\nü'}, [1, 2])
    requests = made(dialect="http", method="PUT", path="/x", replay=path)
    line, _, body = parted(requests.next(0).data)
    assert (line, body.decode()) == ("PUT /x HTTP/1.1", 'a "text"\nü')
    second = requests.next(0)
    assert body_of(second.data) == [1, 2]
    assert second.check is None


def test_a_body_that_is_a_text_says_so(tmp_path: Path) -> None:
    """As the same text does that is given with --body."""
    path = written(tmp_path / "r.jsonl", {"body": "plain text"}, {"body": '{"a": 1}'}, {"a": 1}, [])
    requests = made(dialect="http", method="POST", path="/x", replay=path)
    text, json_ = "text/plain; charset=utf-8", "application/json"
    kinds = [parted(requests.next(0).data)[1]["Content-Type"] for _ in range(4)]
    assert kinds == [text, json_, json_, json_]
    own = {"content-type": "application/x-odd"}
    requests = made(dialect="http", method="POST", path="/x", replay=path, headers=own)
    assert {parted(requests.next(0).data)[1]["content-type"] for _ in range(4)} == {
        own["content-type"]
    }


def test_what_cannot_be_counted_is_checked_as_far_as_it_can_be(tmp_path: Path) -> None:
    path = written(tmp_path / "r.jsonl", {"query": "q", "texts": ["a"]}, {"q": 1}, [])
    requests = made(replay=path)
    texts, odd, empty = (requests.next(0) for _ in range(3))
    assert texts.check
    assert texts.check(200, b'[{"index": 0, "score": 1}]') is None
    assert (odd.pairs, empty.pairs) == (1, 1)
    assert odd.check
    assert odd.check(200, b'{"results": []}') is None
    assert odd.check(200, b"{}") is not None
