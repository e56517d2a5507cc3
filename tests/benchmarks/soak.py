"""A long time in the life of a server: mixed requests, and what has become of its memory.

    python -m tests.benchmarks.soak                      # 100,000 requests
    python -m tests.benchmarks.soak --requests 20000
    python -m tests.benchmarks.soak --quick

Eight clients send requests of all dialects and sizes, repeated pairs, wrong bodies, and requests
from which they hang up, to a server with a small model and the score cache. Every answer is checked
for its own request's id, its own documents and one score each; what was asked before must score as
before. At the end the log must hold every request exactly once: none lost, none doubled. Resident
memory is compared between the first twentieth and the end. Exits with 1 when an answer was wrong.
"""

from __future__ import annotations

import json
import math
import random
import socket
import statistics
import sys
import threading
import time
from collections import Counter
from typing import Any

import psutil

from tests.benchmarks.http_client import connect, exchange
from tests.benchmarks.peers import common_options, machine, made_model, texts
from tests.server.process import ServerProcess, until

SAMPLES = 20
SAME = 1e-4
"""Of two scores of a pair: float32, in batches of other shapes."""
SIZES = (1, 1, 2, 3, 5, 8, 13, 30)
KINDS = ("cohere", "texts", "v2", "score", "nim", "wrong", "gone")
WEIGHTS = (30, 20, 12, 12, 12, 8, 6)
WRONG = (
    ("/rerank", b"{", 400),
    ("/rerank", b'{"query": 1, "documents": []}', 422),
    ("/v2/rerank", b'{"query": "q"}', 422),
    ("/v1/score", b'{"text_1": ["a", "b"], "text_2": ["a", "b", "c"]}', 422),
    ("/nowhere", b"{}", 404),
)
PATHS = {
    "cohere": "/v1/rerank", "texts": "/rerank", "v2": "/v2/rerank", "score": "/v1/score",
    "nim": "/v1/ranking", "gone": "/v1/rerank",
}  # fmt: skip


class Wrong(Exception):
    """An answer that does not belong to its request."""


def post(path: str, name: str, body: bytes) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nX-Request-ID: {name}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def ask(kind: str, query: str, documents: list[str]) -> dict[str, Any]:
    """The body of one dialect."""
    if kind == "texts":
        return {"query": query, "texts": documents, "return_text": True, "raw_scores": False}
    if kind == "score":
        return {"text_1": query, "text_2": documents}
    if kind == "nim":
        return {"query": {"text": query}, "passages": [{"text": each} for each in documents]}
    if kind == "v2":
        return {"model": "any", "query": query, "documents": documents}
    return {"query": query, "documents": documents, "return_documents": True}


def told(kind: str, name: str, answer: Any, documents: list[str]) -> list[float]:
    """The scores by document, as probabilities.

    Raises:
        Wrong: another request's id, another's documents, or a score too few or too many.
    """
    rows = (
        answer
        if kind == "texts"
        else answer[{"score": "data", "nim": "rankings"}.get(kind, "results")]
    )
    if kind in ("cohere", "v2", "score") and answer["id"] != name:
        raise Wrong(f"{name} was answered with {answer['id']}")
    if sorted(row["index"] for row in rows) != list(range(len(documents))):
        raise Wrong(f"{name}: not every document has one score")
    scores = [math.nan] * len(documents)
    for row in rows:
        echoed = row.get("text", row.get("document", {}).get("text")) if kind != "score" else None
        if kind in ("texts", "cohere") and echoed != documents[row["index"]]:
            raise Wrong(f"{name}: came back with another document")
        value = row.get("score", row.get("relevance_score", row.get("logit")))
        scores[row["index"]] = 1 / (1 + math.exp(-value)) if kind == "nim" else value
    return scores


class Soak:
    """The clients, what they have seen, and the memory of the server."""

    def __init__(self, server: ServerProcess, requests: int, clients: int) -> None:
        self.seen: Counter[str] = Counter()
        self.sent: list[str] = []
        self.wrong: list[str] = []
        self.resident: list[tuple[int, int]] = []
        """(requests so far, bytes)."""
        self._server = server
        self._requests = requests
        self._process = psutil.Process(server.pid)
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], float] = {}
        queries, documents = texts(queries=40, documents=400, words=25)
        self._queries, self._documents = queries, documents
        self._threads = [threading.Thread(target=self._client, args=(i,)) for i in range(clients)]

    def run(self) -> float:
        """All requests; the seconds that they took."""
        began = time.perf_counter()
        for thread in self._threads:
            thread.start()
        for thread in self._threads:
            thread.join()
        self._sample(len(self.sent))
        return time.perf_counter() - began

    def _next(self) -> str | None:
        """The name of the next request; ``None`` when all are sent."""
        with self._lock:
            number = len(self.sent)
            if number >= self._requests or len(self.wrong) > 10:
                return None
            self.sent.append(f"soak-{number}")
        if number % max(1, self._requests // SAMPLES) == 0:
            self._sample(number)
        return f"soak-{number}"

    def _sample(self, number: int) -> None:
        self.resident.append((number, self._process.memory_info().rss))

    def _client(self, number: int) -> None:
        rng = random.Random(number)
        connection = connect(self._server.port)
        while (name := self._next()) is not None:
            (kind,) = rng.choices(KINDS, WEIGHTS)
            try:
                if rng.random() < 0.02:
                    connection.close()
                    connection = connect(self._server.port)
                if kind == "wrong":
                    self._refused(connection, name, rng)
                elif kind == "gone":
                    self._hang_up(connection, name, rng)
                    connection = connect(self._server.port)
                else:
                    self._answered(connection, name, kind, rng)
            except (OSError, Wrong, KeyError, ValueError, TypeError) as error:
                self.wrong.append(f"{name} ({kind}): {error!r}")
                connection.close()
                connection = connect(self._server.port)
            self.seen[kind] += 1
        connection.close()

    def _texts(self, name: str, rng: random.Random) -> tuple[str, list[str]]:
        """Some pairs that were asked before and some that never will be again."""
        documents = rng.sample(self._documents, rng.choice(SIZES))
        if rng.random() < 0.3:
            documents[0] = f"{name} {documents[0]}"
        return rng.choice(self._queries), documents

    def _answered(
        self, connection: socket.socket, name: str, kind: str, rng: random.Random
    ) -> None:
        query, documents = self._texts(name, rng)
        body = json.dumps(ask(kind, query, documents)).encode()
        status, answer = exchange(connection, post(PATHS[kind], name, body))
        if status != 200:
            raise Wrong(f"{status}: {answer[:200]!r}")
        scores = told(kind, name, json.loads(answer), documents)
        for document, score in zip(documents, scores, strict=True):
            if document.startswith("soak-"):
                continue
            before = self._known.setdefault((query, document), score)
            if not abs(before - score) < SAME:
                raise Wrong(f"{name}: {score} for a pair that had {before}")

    def _refused(self, connection: socket.socket, name: str, rng: random.Random) -> None:
        path, body, expected = rng.choice(WRONG)
        status, answer = exchange(connection, post(path, name, body))
        if status != expected or json.loads(answer)["request_id"] != name:
            raise Wrong(f"{status} where {expected} was due: {answer[:200]!r}")

    def _hang_up(self, connection: socket.socket, name: str, rng: random.Random) -> None:
        query, documents = self._texts(name, rng)
        body = json.dumps(ask("gone", query, documents * 4)).encode()
        whole = post(PATHS["gone"], name, body)
        cut = rng.random() < 0.3
        connection.sendall(whole[: len(whole) // 2] if cut else whole)
        connection.close()


def logged(server: ServerProcess) -> Counter[str]:
    """How often the log has each request of ours, once none runs any more."""
    until(lambda: server.health()["controller"]["active"] == 0, "the last request to end")
    until(lambda: server.lines()[-1]["message"] == "request", "the log to be written")
    return Counter(
        line["request_id"]
        for line in server.lines()
        if line["message"] == "request" and line["request_id"].startswith("soak-")
    )


def main() -> int:
    parser = common_options(__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=8)
    options = parser.parse_args()
    if options.quick:
        options.requests = min(options.requests, 3000)
    print(machine())
    with made_model(layers=2) as folder:
        env = {
            "LOCAL_MODEL_PATH": str(folder), "ENABLE_PREDICTION_CACHE": "true",
            "OPSCONSOLE_CACHE_BYTES": str(4 << 20), "DTYPE": "float32",
        }  # fmt: skip
        with ServerProcess(env) as server:
            soak = Soak(server, options.requests, options.clients)
            seconds = soak.run()
            found = logged(server)
            metrics, state = server.metrics(), server.health()["status"]
    print(f"{options.requests:,} requests in {seconds:.0f} s, {options.clients} clients; {state}")
    print("  ".join(f"{kind} {soak.seen[kind]:,}" for kind in KINDS))
    print(f"by status: {metrics['requests_by_status']}; cache: {metrics['cache']}\n")
    print(f"{'after requests':>16}{'resident MiB':>14}{'/ first 5 %':>13}")
    early = [size for number, size in soak.resident if number <= options.requests / SAMPLES]
    base = early[-1]
    for number, size in soak.resident[:: max(1, len(soak.resident) // 10)] + soak.resident[-1:]:
        print(f"{number:>16,}{size / 2**20:>14.1f}{size / base:>13.3f}")
    last = statistics.median(size for _, size in soak.resident[-3:])
    missing = [name for name in soak.sent if found[name] == 0]
    doubled = [name for name, count in found.items() if count > 1]
    print(f"\nresident at the end / after the first 5 %: {last / base:.3f}")
    print(f"wrong answers {len(soak.wrong)}, in the log twice {len(doubled)}, ", end="")
    print(f"not in it {len(missing)} (hung up before the head was read: may be)")
    for line in soak.wrong[:10]:
        print(f"  {line}")
    lost = len(missing) > soak.seen["gone"] or soak.wrong or doubled
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
