from __future__ import annotations

import pytest

from opsconsole.errors import UsageError
from opsconsole.server import ServerSettings


def test_an_empty_environment_gives_the_defaults() -> None:
    assert ServerSettings.from_env({}) == ServerSettings()
    settings = ServerSettings.from_env({"PORT": "", "HOST": "  "})
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert (settings.max_parallel, settings.max_queue) == (4, 64)


def test_every_variable_arrives() -> None:
    settings = ServerSettings.from_env(
        {
            "MODEL_NAME": "some/model",
            "BATCH_SIZE": "16",
            "ENABLE_PREDICTION_CACHE": "true",
            "HOST": "::1",
            "PORT": "9001",
            "MAX_PARALLEL_REQUESTS": "8",
            "MAX_QUEUE_SIZE": "0",
            "OPSCONSOLE_SERVER_NAME": "reranker-2",
            "OPSCONSOLE_LOG_FILE": "/var/log/reranker.log",
            "OPSCONSOLE_LOG_LEVEL": "DEBUG",
            "OPSCONSOLE_MAX_BODY_BYTES": "4096",
            "OPSCONSOLE_MAX_DOCUMENTS": "7",
            "OPSCONSOLE_BODY_TIMEOUT": "1.5",
            "OPSCONSOLE_DRAIN_SECONDS": "0",
            "OPSCONSOLE_DRAIN_TIMEOUT": "5",
        }
    )
    assert settings.engine.model == "some/model"
    assert settings.engine.batch_size == 16
    assert settings.engine.cache
    assert (settings.host, settings.port, settings.name) == ("::1", 9001, "reranker-2")
    assert (settings.max_parallel, settings.max_queue) == (8, 0)
    assert settings.log_file == "/var/log/reranker.log"
    assert settings.log_level == "debug"
    assert (settings.max_body_bytes, settings.max_documents) == (4096, 7)
    assert (settings.body_timeout, settings.drain_seconds, settings.drain_timeout) == (1.5, 0, 5)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("PORT", "65536", "a whole number from 0 to 65535"),
        ("PORT", "http", "a whole number"),
        ("PORT", "8_000", "a whole number"),
        ("PORT", "８０００", "a whole number"),
        ("MAX_PARALLEL_REQUESTS", "0", "a whole number from 1"),
        ("MAX_QUEUE_SIZE", "-1", "a whole number from 0"),
        ("BATCH_SIZE", "many", "a whole number"),
        ("ENABLE_PREDICTION_CACHE", "maybe", "true or false"),
        ("DEVICE_PREFERENCE", "tpu", "one of"),
        ("OPSCONSOLE_DRAIN_TIMEOUT", "nan", "seconds"),
        ("OPSCONSOLE_DRAIN_SECONDS", "2m", "seconds"),
        ("OPSCONSOLE_LOG_LEVEL", "loud", "one of"),
        ("OPSCONSOLE_SERVER_NAME", "a\x1b[31mb", "printable"),
    ],
)
def test_nonsense_names_variable_value_and_expectation(
    name: str, value: str, expected: str
) -> None:
    with pytest.raises(UsageError) as caught:
        ServerSettings.from_env({name: value})
    message = str(caught.value)
    assert name in message
    assert repr(value) in message
    assert expected in message


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True),
     ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("gpu-box", False)],
)  # fmt: skip
def test_loopback(host: str, loopback: bool) -> None:
    assert ServerSettings(host=host).loopback is loopback
