"""TLS: what is refused, what is warned of, and certificates that change."""

from __future__ import annotations

import os
import signal
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from opsconsole.errors import OpsError
from opsconsole.server.tls import Certificates
from tests.certificates import Certificate, make_certificate, openssl
from tests.server.process import ServerProcess, run_to_end, until
from tests.server.raw import answers, connect, get, until_closed


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with certificates and keys of several kinds."""
    folder = tmp_path_factory.mktemp("tls")
    make_certificate(folder, "a")
    make_certificate(folder, "b")
    make_certificate(folder, "old", days=-1)
    make_certificate(folder, "soon", days=3)
    encrypt = ("-aes256", "-passout", "pass:hunter2", "-out", folder / "locked.key")
    openssl("pkey", "-in", folder / "a.key", *encrypt)
    (folder / "junk").write_text("junk")
    (folder / "empty").write_text("")
    return folder


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path)


@pytest.fixture
def secure(certificate: Certificate) -> Iterator[ServerProcess]:
    """A server on TLS that is patient for a second."""
    env = certificate.env | {"OPSCONSOLE_HEADER_TIMEOUT": "1"}
    with ServerProcess(env, wait="listening") as server:
        yield server


@pytest.mark.parametrize(
    ("cert", "key", "where", "what"),
    [
        ("absent", "a.key", "absent", "No such file"),
        ("a.pem", "absent", "absent", "No such file"),
        (".", "a.key", "", "Is a directory"),
        ("a.pem", "b.key", "b.key", "the key does not fit the certificate"),
        ("a.pem", "locked.key", "locked.key", "the key is encrypted"),
        ("junk", "a.key", "junk", "cannot be used"),
        ("a.pem", "junk", "junk", "cannot be used"),
        ("a.key", "a.key", "a.key", "cannot be used"),
        ("empty", "empty", "empty", "cannot be used"),
    ],
)
def test_files_that_cannot_be(made: Path, cert: str, key: str, where: str, what: str) -> None:
    with pytest.raises(OpsError, match=what) as caught:
        Certificates(str(made / cert), str(made / key))
    assert caught.value.where == str(made / where)


def test_one_file_alone(made: Path) -> None:
    with pytest.raises(OpsError, match="TLS_KEY_FILE is not set"):
        Certificates.of(str(made / "a.pem"), None)
    with pytest.raises(OpsError, match="TLS_CERT_FILE is not set"):
        Certificates.of(None, str(made / "a.key"))
    assert Certificates.of(None, None) is None


@pytest.mark.parametrize(
    ("name", "warning"),
    [("a", None), ("old", "the certificate has expired"), ("soon", "expires in 3 days")],
)
def test_dates_are_warned_of(made: Path, name: str, warning: str | None) -> None:
    found = Certificates(str(made / f"{name}.pem"), str(made / f"{name}.key")).warning
    if warning is None:
        assert found is None
    else:
        assert found is not None
        assert warning in found


def test_a_server_does_not_start_on_a_wrong_certificate(made: Path) -> None:
    env = {"TLS_CERT_FILE": str(made / "a.pem"), "TLS_KEY_FILE": str(made / "b.key")}
    code, (line,) = run_to_end(env)
    assert code == 78
    assert "the key does not fit the certificate" in line["message"]


def link(server: ServerProcess, *, trust: Path | None = None) -> ssl.SSLSocket:
    """A connection over TLS, verified when it is told whom to trust."""
    context = ssl.create_default_context(cafile=trust)
    if trust is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context.wrap_socket(connect(server), server_hostname="127.0.0.1")


def test_requests_over_tls(secure: ServerProcess, certificate: Certificate) -> None:
    assert secure.lines()[0]["scheme"] == "https"
    with link(secure, trust=certificate.cert) as connection:
        assert connection.version() == "TLSv1.3"
        assert connection.selected_alpn_protocol() == "http/1.1"
        connection.sendall(get("/live") + get("/live", "Connection: close"))
        found = answers(until_closed(connection))
    assert [answer.json for answer in found] == [{"status": "live"}] * 2


def test_old_versions_are_refused(secure: ServerProcess) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="deprecated"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with connect(secure) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain)


def quiet(server: ServerProcess) -> bool:
    """Whether the log has neither traceback nor error."""
    return all("exception" not in x and x["level"] != "error" for x in server.lines())


def test_plain_http_to_the_tls_port(secure: ServerProcess) -> None:
    with connect(secure) as connection:
        connection.sendall(get("/live"))
        assert until_closed(connection) == b""
    assert quiet(secure)


def test_tls_to_a_plain_port() -> None:
    with ServerProcess(wait="listening") as server:
        with pytest.raises(ssl.SSLError):
            link(server)
        with connect(server) as connection:
            connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
            (answer,) = answers(until_closed(connection))
        assert (answer.status, answer.error) == (400, "invalid_http")
        assert "not TLS" in answer.json["error"]["message"]
        assert quiet(server)


def test_a_handshake_that_never_comes_is_cut_off(secure: ServerProcess) -> None:
    with connect(secure) as connection:
        assert until_closed(connection) == b""
    with connect(secure) as connection:
        connection.sendall(b"\x16\x03\x01")
        assert until_closed(connection) == b""
    assert quiet(secure)


def shown(server: ServerProcess) -> bytes | None:
    with link(server) as connection:
        return connection.getpeercert(binary_form=True)


def test_a_new_certificate_breaks_no_connection(
    secure: ServerProcess, certificate: Certificate, made: Path
) -> None:
    first = shown(secure)
    with link(secure) as old:
        os.replace(make_certificate(made, "c").cert, certificate.cert)
        secure.signal(signal.SIGHUP)
        assert secure.wait_for("SIGHUP: read again: nothing")["kept"] == ["certificates"]
        (error,) = [line for line in secure.lines() if line["level"] == "error"]
        assert "the old certificates stay in use" in error["message"]
        assert shown(secure) == first  # half of a new pair is not taken
        os.replace(made / "c.key", certificate.key)
        secure.signal(signal.SIGHUP)
        secure.wait_for("SIGHUP: read again: certificates")
        assert shown(secure) not in (None, first)
        old.sendall(get("/live", "Connection: close"))
        (answer,) = answers(until_closed(old))
        assert answer.status == 200


def test_a_stop_answers_what_was_sent_over_tls(certificate: Certificate) -> None:
    with ServerProcess(certificate.env | {"OPSCONSOLE_DRAIN_SECONDS": "0.5"}) as server:
        url = server.url
        lost: list[str] = []
        answered: list[int] = []

        def load() -> None:
            while True:
                try:
                    body = {"query": "q", "documents": ["a"]}
                    answer = httpx.post(f"{url}/rerank", json=body, verify=trusted, trust_env=False)
                except httpx.ConnectError:
                    return
                except httpx.TransportError as error:
                    lost.append(repr(error))
                    return
                answered.append(answer.status_code)

        trusted = ssl.create_default_context(cafile=certificate.cert)
        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        until(lambda: len(answered) > 50, "some load")
        assert server.stop() == 0
        for thread in threads:
            thread.join()
    assert lost == []
    assert set(answered) == {200}
