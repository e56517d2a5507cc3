"""A real Prometheus (Debian's package ``prometheus``) scrapes a real server."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.net import free_port
from tests.server.process import PLAIN, ServerProcess, until

PROMETHEUS, PROMTOOL = shutil.which("prometheus"), shutil.which("promtool")
pytestmark = pytest.mark.skipif(
    PROMETHEUS is None or PROMTOOL is None,
    reason="the programs prometheus and promtool are missing: apt-get install prometheus",
)
FORMATS = ("openmetrics", "prometheus")
"""Jobs: Prometheus asks for the first by itself, and for the second through our parameter."""


class Prometheus:
    """One that scrapes a server every second, in both formats."""

    def __init__(self, server: ServerProcess, folder: Path) -> None:
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        self._log = folder / "prometheus.log"
        target = [{"targets": [f"127.0.0.1:{server.port}"]}]
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": [
                {"job_name": "openmetrics", "static_configs": target},
                {
                    "job_name": "prometheus",
                    "params": {"format": ["prometheus"]},
                    "static_configs": target,
                },
            ],
        }
        # JSON is YAML.
        (folder / "prometheus.yml").write_text(json.dumps(config))
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    str(PROMETHEUS),
                    f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                    "--log.format=json",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def get(self, path: str, **parameters: str) -> Any:
        """What its API answers; ``None`` while it does not."""
        assert self.process.poll() is None, self._log.read_text()
        try:
            answer = httpx.get(self._url + path, params=parameters, **PLAIN)
        except httpx.TransportError:
            return None
        return answer.json()["data"] if answer.status_code == 200 else None

    def targets(self) -> list[dict[str, Any]]:
        """What it scrapes."""
        data = self.get("/api/v1/targets")
        return data["activeTargets"] if data else []

    def values(self, query: str) -> dict[str, float]:
        """job → the value of a query."""
        data = self.get("/api/v1/query", query=query)
        return {
            one["metric"]["job"]: float(one["value"][1]) for one in (data["result"] if data else ())
        }

    def complaints(self) -> list[dict[str, Any]]:
        """What it logged as more than information."""
        lines = [json.loads(line) for line in self._log.read_text().splitlines()]
        return [line for line in lines if line["level"].lower() not in ("debug", "info")]

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def errors(targets: list[dict[str, Any]]) -> list[str]:
    """What went wrong with scrapes; that one took too long is the busy machine's doing."""
    found = [target["lastError"] for target in targets]
    return [error for error in found if error and "deadline exceeded" not in error]


@pytest.fixture
def prometheus(server: ServerProcess, tmp_path: Path) -> Iterator[Prometheus]:
    prometheus = Prometheus(server, tmp_path)
    try:
        yield prometheus
    finally:
        prometheus.close()


def test_a_real_prometheus_scrapes_without_a_warning(
    server: ServerProcess, prometheus: Prometheus
) -> None:
    def work() -> bool:
        body = {"query": "q", "documents": ["a", "b"]}
        return server.post("/v1/rerank", json=body).status_code == 200

    def all_up() -> bool:
        assert work()
        targets = prometheus.targets()
        assert not errors(targets)
        return len(targets) == 2 and all(t["health"] == "up" for t in targets)

    until(all_up, "both targets to be up")
    counted = server.metrics()["requests_by_endpoint"]["/v1/rerank"]["200"]
    query = 'reranker_requests_total{endpoint="/v1/rerank",status="200"}'

    def arrived() -> bool:
        found = prometheus.values(query)
        return found.keys() == set(FORMATS) and min(found.values()) >= counted

    until(arrived, "the count to arrive in both formats")

    def quantiles() -> dict[str, float]:
        assert work()
        rates = "rate(reranker_request_duration_seconds_bucket[1m])"
        found = prometheus.values(f"histogram_quantile(0.95, sum by (le, job) ({rates}))")
        return {job: value for job, value in found.items() if not math.isnan(value)}

    until(lambda: quantiles().keys() == set(FORMATS), "a quantile of both formats")
    assert all(0 < value < 60 for value in quantiles().values())
    until(lambda: prometheus.values("up") == dict.fromkeys(FORMATS, 1.0), "both to be up")
    assert prometheus.values("reranker_build_info") == dict.fromkeys(FORMATS, 1.0)
    # All samples of a scrape were taken: none was a duplicate, out of order or cut.
    scraped = prometheus.values("scrape_samples_scraped")
    assert scraped == prometheus.values("scrape_samples_post_metric_relabeling")
    assert min(scraped.values()) > 100
    assert not errors(prometheus.targets())
    assert prometheus.complaints() == []


def test_promtool_finds_nothing_to_say(server: ServerProcess) -> None:
    assert server.post("/v1/rerank", json={"query": "q", "documents": ["a"]}).status_code == 200
    text = server.get("/metrics", params={"format": "prometheus"}).content
    check = subprocess.run(
        [str(PROMTOOL), "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert (check.returncode, check.stdout, check.stderr) == (0, b"", b"")
