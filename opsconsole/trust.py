"""Whose certificates are believed: the machine's store, a file of one's own, or anybody's."""

from __future__ import annotations

import os
import ssl
import stat

from opsconsole.errors import OpsError

HINT = "name who signed it by tls: {ca: FILE} in the profile"
_MOST = 16 << 20


class TrustError(OpsError):
    """The file of those who are trusted cannot be used."""


def context(ca: str = "", *, verify: bool = True) -> ssl.SSLContext:
    """What a client holds against a server's certificate.

    Args:
        ca: PEM file of those who may have signed it, instead of the machine's; the server's own
            certificate will do.
        verify: False believes whoever answers.

    Raises:
        TrustError: ``ca`` cannot be read, or holds no certificate.
    """
    if not verify:
        anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        anybody.check_hostname = False
        anybody.verify_mode = ssl.CERT_NONE
        return anybody
    if not ca:
        return ssl.create_default_context()
    try:
        made = ssl.create_default_context(cadata=_read(ca))
    except (ssl.SSLError, ValueError):
        raise TrustError("there is no certificate in PEM in it", where=ca) from None
    # Whoever is named is believed: a server's own certificate, an intermediate, and those of
    # small authorities, which lack extensions that Python 3.13 asks for.
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return made


def _read(path: str) -> str:
    """The file's text; comments between certificates may be in any language."""
    try:
        # Not blocking: to open a named pipe would wait for its writer for ever.
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise TrustError("it is not a plain file", where=path)
        with os.fdopen(file, "rb") as opened:
            return opened.read(_MOST).decode("ascii", "ignore")
    except OSError as error:
        raise TrustError(f"cannot be read: {error.strerror}", where=path) from None
