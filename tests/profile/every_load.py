"""A profile whose load tests have every key, for what reads them, shows them and lets them edit."""

from __future__ import annotations

HEAD = (
    "name: x\nservers: [{name: one, url: 'http://h:1', service_level: {p95: 500ms}}, "
    "{name: two, url: 'http://h:2'}]\n"
)
"""Two lines: what a test adds begins at the third."""
LOADS = """\
loads:
  - name: smoke
    mode: load
    servers: [one, two]
    requests: 100
    concurrency: 4
    warmup: 2s
    think: 10ms
    documents: 20
    document_tokens: lognormal(70,0.5)
    query_tokens: 4 .. 16
    dialect: cohere
    model: m
    top_n: 3
    seed: 7
    repeat: 50%
    check: 0.1
    path: /v2/rerank
    headers: {X-Tenant: "a; q=1, b", X-Number: 5}
    thresholds: ["p95<500ms", success_rate >= 99%, p99 < 2s over 30s on two]
    abort_on: [{threshold: error_rate < 50%, window: 5s, after: 2}, {threshold: p99 < 5s}]
    timeout: 10s
    upstream_header: X-Upstream
    processes: 2
  - {name: night, mode: soak, rate: 600/m, duration: 8h, arrivals: poisson, max_in_flight: 50}
  - name: waves
    mode: ramp
    stages: [{rate: 0, to: 50, duration: 30s}, {rate: 50/s, duration: 1m}]
  - {name: crowd, mode: spike, stages: [{concurrency: 1, to: 9, duration: 9s}]}
  - {name: ping, mode: rate, rate: 5, dialect: http, path: /health, method: POST, body: "{}\\n{}"}
  - {name: most, mode: search, rate: 4, duration: 5s, warmup: 0s, tolerance: 5%,
     most: 600/m, confirm: 3}
"""
REPLAY = "  - {name: yesterday, mode: replay, replay: day.jsonl, arrivals: recorded}\n"
"""Its file is looked for when a plan is made of it, not when the profile is read."""
