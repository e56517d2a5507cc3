"""TLS: certificates that are checked before they are used, and changed without a break."""

from __future__ import annotations

import contextlib
import ssl
import time

from opsconsole.errors import OpsError
from opsconsole.text import clean_line

_SOON = 14 * 86_400.0
_EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED
_NOT_YET = 9  # X509_V_ERR_CERT_NOT_YET_VALID
_HINT = "TLS_CERT_FILE names a PEM file, the server's certificate first, TLS_KEY_FILE its key"


class Certificates:
    """The certificate of one server and its key.

    Attributes:
        context: For the listening sockets. A reload changes it in place: connections go on with
            what they began with, new ones get the new certificate.
        warning: What will soon be a problem, or is one to clients that look at dates.

    Raises:
        OpsError: a file is missing or is not what it should be, the key is encrypted or does not
            fit.
    """

    def __init__(self, cert: str, key: str) -> None:
        self.cert = cert
        self.key = key
        self.context = _context()
        self.warning: str | None = None
        self.reload()

    @classmethod
    def of(cls, cert: str | None, key: str | None) -> Certificates | None:
        """``None`` without files.

        Raises:
            OpsError: only one of the two is named, or as on construction.
        """
        if cert is None and key is None:
            return None
        if cert is None or key is None:
            missing = "TLS_CERT_FILE" if cert is None else "TLS_KEY_FILE"
            raise OpsError(f"{missing} is not set, the other one is", hint=_HINT)
        return cls(cert, key)

    def reload(self) -> None:
        """Read the files again; after an error the old certificate stays.

        Raises:
            OpsError: as on construction.
        """
        # In a context of its own first: half a load would leave a context that serves nobody.
        fresh = _context()
        _load(fresh, self.cert, self.key)
        self.warning = _examine(fresh, self.cert)
        _load(self.context, self.cert, self.key)


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    return context


def _load(context: ssl.SSLContext, cert: str, key: str) -> None:
    for path in (cert, key):
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            raise OpsError(f"cannot be read: {error.strerror}", where=path, hint=_HINT) from None
    encrypted = False

    def password() -> str:
        nonlocal encrypted
        encrypted = True
        return ""

    try:
        context.load_cert_chain(cert, key, password)
    except ssl.SSLError as error:
        if encrypted:
            raise OpsError(
                "the key is encrypted", where=key, hint="openssl pkey -in KEY -out PLAIN"
            ) from None
        if error.reason == "KEY_VALUES_MISMATCH":
            raise OpsError("the key does not fit the certificate", where=key, hint=cert) from None
        place = cert if not _has(cert, b"CERTIFICATE-----") else key
        reason = clean_line(error.reason or "not PEM", 200)
        raise OpsError(f"cannot be used: {reason}", where=place, hint=_HINT) from None
    except (OSError, ValueError) as error:
        raise OpsError(f"cannot be used: {clean_line(str(error), 200)}", where=cert) from None


def _has(path: str, mark: bytes) -> bool:
    with open(path, "rb") as stream:
        return mark in stream.read(1 << 20)


def _examine(context: ssl.SSLContext, cert: str) -> str | None:
    """What is wrong with the certificate's dates, told by a handshake with ourselves."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(cert)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = context.wrap_bio(to_server, to_client, server_side=True)
    theirs = client.wrap_bio(to_client, to_server)
    try:
        for _ in range(4):
            for side in (theirs, ours):
                with contextlib.suppress(ssl.SSLWantReadError):
                    side.do_handshake()
        found = theirs.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        words = {_EXPIRED: "has expired", _NOT_YET: "is not valid yet"}
        word = words.get(error.verify_code)
        return f"{cert}: the certificate {word}" if word else None
    except (ssl.SSLError, ValueError):
        return None
    left = ssl.cert_time_to_seconds(str(found["notAfter"])) - time.time()
    if left < _SOON:
        return f"{cert}: the certificate expires in {left / 86_400:.0f} days"
    return None
