"""The values of a profile that are written otherwise than they are read: ``500ms``, ``99%``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

Kind = Literal[
    "duration",
    "ratio",
    "size",
    "secret",
    "name",
    "env",
    "headers",
    "rate",
    "lengths",
    "threshold",
    "path",
]


def _kind(kind: Kind, schema: dict[str, Any]) -> Meta:
    return Meta(extra={"kind": kind}, extra_json_schema=schema)


Duration = Annotated[
    float,
    _kind("duration", {"x-type": "string", "pattern": r"^(\d+(\.\d+)?(us|ms|s|m|h|d))+$",
                       "examples": ["500ms", "30s", "2m"]}),
]  # fmt: skip
Ratio = Annotated[
    float,
    _kind("ratio", {"x-type": ["string", "number"], "examples": ["99%", 0.99]}),
]
Size = Annotated[
    int,
    _kind("size", {"x-type": ["string", "integer"], "examples": ["10MB", "64MiB"]}),
]
Name = Annotated[
    str,
    _kind("name", {"pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"}),
]
SecretRef = Annotated[
    Any,
    _kind("secret", {
        "description": "${NAME} takes it from the environment, {file: PATH} from a file",
        "oneOf": [
            {"type": "string", "pattern": r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$"},
            {"type": "object", "properties": {"file": {"type": "string"}},
             "required": ["file"], "additionalProperties": False},
        ],
    }),
]  # fmt: skip
FilePath = Annotated[
    str,
    _kind("path", {"examples": ["ca.pem", "~/ca.pem"]}),
]
Environment = Annotated[
    dict[str, str],
    _kind("env", {"x-additionalProperties": {"type": ["string", "number", "boolean"]}}),
]  # fmt: skip
Headers = Annotated[
    dict[str, str],
    _kind("headers", {"x-additionalProperties": {"type": ["string", "number", "boolean"]}}),
]  # fmt: skip
Rate = Annotated[
    float,
    _kind("rate", {"x-type": ["string", "number"], "examples": [50, "50/s", "600/m"]}),
]
LengthsText = Annotated[
    str,
    _kind("lengths", {"x-type": ["string", "integer"],
                      "examples": [10, "4..16", "lognormal(70, 0.5)"]}),
]  # fmt: skip
ThresholdText = Annotated[
    str,
    _kind(
        "threshold",
        {
            "examples": [
                "p95 < 500ms",
                "success_rate > 99%",
                "goodput > 100/s",
                "p95 < 1s over 30s",
                "p95 < 1s on gpu-1",
            ]
        },
    ),
]
