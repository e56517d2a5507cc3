"""schemathesis, a stranger to this code, holds every route to what ``/openapi.json`` promises.

What the document allows has to be accepted and what it forbids refused; nothing may be answered
with a 500, or with a status, a type or a body that the document does not have. Its phase of
``coverage`` is left out: it fails in its own generator at some documents, this one among them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.server.process import ServerProcess

PLACES = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
PROGRAM = shutil.which("schemathesis", path=PLACES)
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no schemathesis: pip install schemathesis")

CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance",
    "response_schema_conformance", "response_headers_conformance", "unsupported_method",
    "missing_required_header",
)  # fmt: skip


def run_program(
    server: ServerProcess,
    folder: Path,
    document: dict[str, Any],
    *more: str,
    checks: tuple[str, ...],
) -> None:
    """Fails with what it found."""
    assert PROGRAM is not None
    (folder / "openapi.json").write_text(json.dumps(document))
    argv = [
        PROGRAM, "run", "openapi.json", "--url", server.url, "--checks", ",".join(checks),
        "--max-examples", "10", "--max-time", "15", "--seed", "7", "--request-timeout", "20",
        "--workers", "2", "--continue-on-failure", "--generation-database", "none",
        "--suppress-health-check", "all", "--no-color", *more,
    ]  # fmt: skip
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "Tested: 0" not in done.stdout
    assert not [
        line for line in server.lines() if line["message"] == "a request failed unexpectedly"
    ]
    assert server.health()["status"] == "healthy"


def integers(schema: Any) -> list[dict[str, Any]]:
    """All schemas of integers within a schema."""
    if isinstance(schema, list):
        return [found for one in schema for found in integers(one)]
    if not isinstance(schema, dict):
        return []
    own = [schema] if schema.get("type") == "integer" else []
    return own + [found for one in schema.values() for found in integers(one)]


def without_what_no_schema_can_say(document: dict[str, Any]) -> dict[str, Any]:
    """The document, allowing less: all that is left has to be accepted.

    Whether documents have the fields that ``rank_fields`` names and whether there are as many
    queries as documents is beyond JSON Schema; to it ``3.0`` is an integer, but not to a decoder
    of types; and with ``X-Request-Timeout`` nearly at zero a 503 is the documented answer.
    """
    schemas = document["components"]["schemas"]
    schemas["RerankBody"]["properties"]["rank_fields"] = {"type": "null"}
    for name in ("text_1", "queries", "data_1"):
        (many,) = (
            one for one in schemas["ScoreBody"]["properties"][name]["anyOf"] if "items" in one
        )
        many["maxItems"] = 1
    bodies = [about for name, about in schemas.items() if name.endswith("Body")]
    for integer in integers(bodies):
        integer["enum"] = [integer.get("minimum", -3), 0, 1, 2, 64, 2**31, 2**70]
    for methods in document["paths"].values():
        for parameter in methods.get("post", {}).get("parameters", ()):
            if parameter["name"] == "X-Request-Timeout":
                parameter["schema"] = {"enum": ["20", "20s", "1m", "20000ms"]}
    return document


def test_what_the_document_allows_is_accepted(server: ServerProcess, tmp_path: Path) -> None:
    document = without_what_no_schema_can_say(server.get("/openapi.json").json())
    run_program(
        server, tmp_path, document, "--mode", "positive", "--phases", "examples,fuzzing",
        checks=(*CHECKS, "positive_data_acceptance"),
    )  # fmt: skip


def test_what_the_document_forbids_is_refused(server: ServerProcess, tmp_path: Path) -> None:
    document = server.get("/openapi.json").json()
    run_program(
        server, tmp_path, document, "--mode", "negative", "--phases", "fuzzing",
        checks=(*CHECKS, "negative_data_rejection"),
    )  # fmt: skip
