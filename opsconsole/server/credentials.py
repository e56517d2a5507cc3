"""What a server proves itself and its clients by: keys and certificates, read again on SIGHUP."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from opsconsole.errors import OpsError
from opsconsole.server.keys import Keys
from opsconsole.server.logs import JsonLog
from opsconsole.server.settings import ServerSettings
from opsconsole.server.tls import Certificates


class Credentials:
    """The keys and the certificate of one server; ``None`` where it has none.

    Raises:
        OpsError: something of them cannot be used, the host has no address, or there is no key
            and others than this machine could connect.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._loopback = settings.loopback
        self.keys: Keys | None = None
        if settings.api_keys is not None or settings.api_key_file is not None:
            self.keys = Keys(settings.api_keys, settings.api_key_file)
        elif not self._loopback and not settings.insecure:
            raise OpsError(
                f"HOST is {settings.host!r}: without keys, anybody who reaches this address could "
                "use the server",
                hint="set API_KEYS or API_KEY_FILE, listen on 127.0.0.1, or say --insecure "
                "(OPSCONSOLE_INSECURE=true)",
            )
        self.certificates = Certificates.of(settings.tls_cert_file, settings.tls_key_file)

    @property
    def scheme(self) -> str:
        """Of the server's URL."""
        return "http" if self.certificates is None else "https"

    def warn(self, log: JsonLog) -> None:
        """Say what works, but should not stay so."""
        host = self._settings.host
        if not self._loopback:
            if self.keys is None:
                log.warning("anybody who reaches this address can use the server", host=host)
            elif self.certificates is None:
                log.warning("keys and texts cross the network in clear: no TLS", host=host)
        if self.keys is not None:
            for warning in self.keys.warnings:
                log.warning(warning)
        if self.certificates is not None and self.certificates.warning is not None:
            log.warning(self.certificates.warning)

    def reload(self, log: JsonLog) -> None:
        """Read keys and certificate again; what is broken stays as it was, and the log says so."""
        done: list[str] = []
        kept: list[str] = []
        for what, reload in self._sources():
            try:
                reload()
            except OpsError as error:
                kept.append(what)
                log.error(
                    f"the old {what} stay in use: {error}",
                    what=error.what,
                    where=error.where,
                    hint=error.hint,
                )
            else:
                done.append(what)
        if done:
            self.warn(log)
        log.info(
            "SIGHUP: read again: " + (", ".join(done) or "nothing"),
            keys=len(self.keys.names) if self.keys is not None else None,
            kept=kept or None,
        )

    def _sources(self) -> Iterator[tuple[str, Callable[[], None]]]:
        if self.keys is not None and self.keys.path is not None:
            yield "keys", self.keys.reload
        if self.certificates is not None:
            yield "certificates", self.certificates.reload
