from __future__ import annotations

import socket
from typing import Any

import pytest

from opsconsole.errors import OpsError, UsageError
from opsconsole.server import ServerSettings
from opsconsole.server.credentials import Credentials


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
            "MAX_QUEUE_TOKENS": "1000",
            "OPSCONSOLE_MAX_CHARACTERS": "500",
            "OPSCONSOLE_MAX_UPLOAD_BYTES": "10000000000",
            "OPSCONSOLE_HEADER_TIMEOUT": "2.5",
            "OPSCONSOLE_MAX_CONNECTIONS": "12",
            "OPSCONSOLE_MAX_REQUEST_SECONDS": "90",
            "OPSCONSOLE_INSECURE": "Yes",
            "API_KEYS": "a:0123456789abcdef",
            "API_KEY_FILE": "/etc/keys",
            "TLS_CERT_FILE": "/etc/cert.pem",
            "TLS_KEY_FILE": "/etc/key.pem",
            "CORS_ORIGINS": "https://a.example, http://localhost:3000,https://a.example",
            "RATE_LIMIT": "20/s:40",
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
    assert (settings.max_queue_tokens, settings.max_characters) == (1000, 500)
    assert (settings.max_upload_bytes, settings.max_connections) == (10_000_000_000, 12)
    assert (settings.header_timeout, settings.max_deadline) == (2.5, 90)
    assert (settings.insecure, settings.rate_limit) == (True, "20/s:40")
    assert (settings.api_keys, settings.api_key_file) == ("a:0123456789abcdef", "/etc/keys")
    assert (settings.tls_cert_file, settings.tls_key_file) == ("/etc/cert.pem", "/etc/key.pem")
    assert settings.cors_origins == ("https://a.example", "http://localhost:3000")


def test_keys_are_in_no_representation() -> None:
    settings = ServerSettings.from_env({"API_KEYS": "a:0123456789abcdef"})
    for text in (repr(settings), str(settings), f"{[settings]!r}"):
        assert "0123456789abcdef" not in text
        assert "api_keys='***'" in text
    assert "api_keys=None" in repr(ServerSettings())


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
        ("MAX_QUEUE_TOKENS", "0", "a whole number from 1"),
        ("OPSCONSOLE_MAX_UPLOAD_BYTES", "1e9", "a whole number"),
        ("OPSCONSOLE_MAX_CONNECTIONS", "0", "a whole number from 1"),
        ("OPSCONSOLE_HEADER_TIMEOUT", "0", "seconds from more than 0"),
        ("OPSCONSOLE_BODY_TIMEOUT", "0", "seconds from more than 0"),
        ("OPSCONSOLE_MAX_REQUEST_SECONDS", "-5", "seconds from more than 0"),
        ("OPSCONSOLE_INSECURE", "perhaps", "true or false"),
        ("CORS_ORIGINS", "example.com", "origins such as"),
        ("RATE_LIMIT", "20", "a rate such as 20/s"),
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
     ("127.1", True), ("0.0.0.0", False), ("::", False), ("10.0.0.1", False)],
)  # fmt: skip
def test_loopback(host: str, loopback: bool) -> None:
    assert ServerSettings(host=host).loopback is loopback


@pytest.mark.parametrize(
    ("addresses", "loopback"),
    [(["127.0.1.1"], True), (["127.0.0.1", "::1"], True), (["127.0.1.1", "10.0.0.1"], False)],
)
def test_a_name_is_judged_by_all_its_addresses(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str], loopback: bool
) -> None:
    def resolve(host: str, *_: Any, **__: Any) -> list[Any]:
        assert host == "gpu-box"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 0)) for each in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert ServerSettings(host="gpu-box").loopback is loopback


@pytest.mark.parametrize("host", ["nonexist.invalid", "a..b"])
def test_a_name_without_an_address_is_said_to_be_that(host: str) -> None:
    with pytest.raises(OpsError, match=f"HOST is '{host}', which has no address"):
        Credentials(ServerSettings(host=host))
