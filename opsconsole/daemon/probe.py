"""A health check that never blocks: GET over a raw socket, stepped by its owner's poll loop.

The keeper must obey a signal while a sick server drips one byte a second, and an HTTP library
would outweigh the rest of it.
"""

from __future__ import annotations

import errno
import json
import os
import select
import socket
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import ssl

MAX_BYTES = 65_536


class Answer(NamedTuple):
    """How a health check ended."""

    ready: bool
    detail: str
    pid: int | None = None
    """The process that the answer says it comes from, if it does."""
    status: int = 0
    """Of HTTP; 0 when there was no answer."""
    word: str = ""
    """The ``status`` that the answer says."""


class Probe:
    """One request in flight. Poll :meth:`fileno` for :attr:`interest`, then :meth:`step`."""

    def __init__(
        self, host: str, port: int, path: str, timeout: float, now: float, *, tls: bool = False
    ) -> None:
        """Begin; ``timeout`` is for the whole exchange, ``now`` is monotonic seconds."""
        self.deadline = now + timeout
        self.interest = select.POLLOUT
        self._timeout = timeout
        name = f"[{host}]" if ":" in host else host
        self._request = (
            f"GET {path} HTTP/1.0\r\nHost: {name}:{port}\r\nAccept: application/json\r\n"
            "User-Agent: opsconsole-keeper\r\nConnection: close\r\n\r\n"
        ).encode()
        self._received = b""
        self._socket: socket.socket | None = None
        self._tls = tls
        self._secured: ssl.SSLSocket | None = None
        self._error = "no address"
        try:
            # Bytes, because a str would load the IDNA codec.
            found = socket.getaddrinfo(host.encode(), port, type=socket.SOCK_STREAM)
        except OSError as error:
            found = []
            self._error = f"{host}: {error.strerror}"
        self._addresses = [(family, address) for family, _, _, _, address in found]
        self._connect()

    def fileno(self) -> int:
        """The socket, or -1 when there is none."""
        return -1 if self._socket is None else self._socket.fileno()

    def step(self, now: float) -> Answer | None:
        """Go on as far as can be without waiting; the answer when there is one."""
        while self._socket is not None:
            connecting = bool(self._request)
            try:
                finished = self._send() if connecting else self._receive()
            except BlockingIOError:
                break
            except OSError as error:
                if self._wants_more(error):
                    break
                self._error = _words(error)
                self.close()
                if connecting:
                    self._connect()  # "localhost" may be ::1 and 127.0.0.1, and only one serve
                continue
            if finished:
                return self._answer()
        if self._socket is None:
            return Answer(False, self._error)
        if now >= self.deadline:
            self.close()
            return Answer(False, f"no answer within {self._timeout:g} s")
        return None

    def close(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = self._secured = None

    def _connect(self) -> None:
        while self._addresses:
            family, address = self._addresses.pop(0)
            try:
                self._socket = socket.socket(family, socket.SOCK_STREAM)
                self._socket.setblocking(False)
                code = self._socket.connect_ex(address)
            except OSError as error:
                self._error = _words(error)
                self.close()
                continue
            if code in (0, errno.EINPROGRESS):
                self.interest = select.POLLOUT
                return
            self._error = _words(OSError(code, ""))
            self.close()

    def _send(self) -> bool:
        assert self._socket is not None
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, "")
        try:
            if self._tls and not self._shake_hands():
                return False
            sent = self._socket.send(self._request)
        except OSError as error:
            if error.errno == errno.ENOTCONN:  # still connecting (macOS; Linux says EAGAIN)
                raise BlockingIOError from None
            raise
        self._request = self._request[sent:]
        if not self._request:
            self.interest = select.POLLIN
        return False

    def _shake_hands(self) -> bool:
        """Go on with the handshake; ``True`` once it is over."""
        assert self._socket is not None
        if self._secured is None:
            self._socket.getpeername()  # ENOTCONN while it still connects
            self._secured = self._socket = _secure(self._socket)
        self._secured.do_handshake()
        return True

    def _wants_more(self, error: OSError) -> bool:
        """Whether TLS only says that it must first read, or write; polls for that then."""
        if self._secured is None:
            return False
        import ssl

        if isinstance(error, ssl.SSLWantReadError):
            self.interest = select.POLLIN
        elif isinstance(error, ssl.SSLWantWriteError):
            self.interest = select.POLLOUT
        else:
            return False
        return True

    def _receive(self) -> bool:
        assert self._socket is not None
        data = self._socket.recv(MAX_BYTES)
        self._received += data
        if not data or len(self._received) >= MAX_BYTES:
            return True
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return False
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = line[15:].strip()
                return length.isdigit() and len(body) >= int(length)
        return False

    def _answer(self) -> Answer:
        self.close()
        head, _, body = self._received.partition(b"\r\n\r\n")
        words = head.split(b"\r\n", 1)[0].split()
        if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
            return Answer(False, "the answer is not HTTP" if head else "an empty answer")
        status = int(words[1])
        try:
            data = json.loads(body)
        except ValueError:
            data = None
        if not isinstance(data, dict):
            data = {}
        word = data.get("status")
        return Answer(
            status == 200,
            _detail(status, data),
            _pid(data),
            status,
            word if isinstance(word, str) else "",
        )


def _secure(plain: socket.socket) -> ssl.SSLSocket:
    """TLS without a look at the certificate: who serves the port is known by other means."""
    import ssl  # some MB, which a keeper of a plain server need not hold

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain, do_handshake_on_connect=False)


def _pid(data: dict[str, Any]) -> int | None:
    pid = data.get("pid")
    return pid if isinstance(pid, int) and not isinstance(pid, bool) and 0 < pid < 2**31 else None


def _detail(status: int, data: dict[str, Any]) -> str:
    words = [f"HTTP {status}"]
    words += [data[key] for key in ("status", "reason") if isinstance(data.get(key), str)]
    return " ".join(words)[:200]


def _words(error: OSError) -> str:
    names = {
        errno.ECONNREFUSED: "connection refused",
        errno.ECONNRESET: "connection reset",
        errno.EPIPE: "connection closed",
        errno.ETIMEDOUT: "timed out",
    }
    code = error.errno or 0
    return names.get(code) or error.strerror or os.strerror(code)
