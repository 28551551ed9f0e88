"""HTTP requests to untrusted servers, bounded in seconds and bytes, without redirects.

Requests to this machine stay on it: never through a proxy, and never to another machine that was
given the name ``localhost``.  All others take the proxy of the environment or the system, if there
is one; with TLS that is a tunnel, and the proxy learns host and port but no header.  ``.netrc`` is
not read and no cookie is kept.
"""

import base64
import socket
import ssl
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import Message
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from ipaddress import IPv4Address, IPv6Address, ip_address
from threading import Thread
from typing import Self
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from wmx._internal.text import printable
from wmx.errors import UsageError

FAILURES = (OSError, HTTPException, ValueError)
LOCALHOST = "localhost"
DEFAULT_PORTS = {"http": 80, "https": 443}
DEFAULT_PROXY_PORT = 80


@dataclass(frozen=True)
class Response:
    """A server's response.

    Attributes:
        status: HTTP status code.
        headers: HTTP headers.
        body: all of it, or one byte more than was allowed.
    """

    status: int
    headers: Message
    body: bytes


def checked_address(url: str, what: str) -> SplitResult:
    """Split an http:// or https:// address, refusing any that parsers could read differently.

    Args:
        url: the address.
        what: its role in error messages, e.g. ``"--tsa"``.

    Raises:
        UsageError: it is no such address, or holds a user name or password, which the message does
            not repeat.
    """
    shown = printable(repr(url)) if "@" not in url else "one with a user's name or password"
    if not url.isascii() or not url.isprintable() or " " in url:
        raise UsageError(f"{what} is {shown}, expected ASCII characters without spaces")
    try:
        address = urlsplit(url)
        host, _ = address.hostname, address.port
    except ValueError:
        raise UsageError(f"{what} is {shown}, whose host or port cannot be read") from None
    if address.scheme not in DEFAULT_PORTS:
        raise UsageError(f"{what} is {shown}, expected an http:// or https:// address")
    if not host:
        raise UsageError(f"{what} is {shown}, which names no host")
    if "@" in address.netloc:
        raise UsageError(
            f"{what} is {shown}",
            hint="an address is no place for secrets: every user of this machine can read it",
        )
    return address


def require_no_eavesdropper(address: SplitResult, what: str) -> None:
    """Refuse to send a secret without TLS, except to this machine.

    Args:
        address: of the server.
        what: the secret; the subject of the error message.

    Raises:
        UsageError: the address is neither of https:// nor of this machine.
    """
    host = str(address.hostname)
    if address.scheme != "https" and not is_this_machine(host):
        raise UsageError(
            f"{what} would go to {host} in the clear, for everybody on the network to read",
            hint="use https://; or bring the server to this machine, as with ssh -L "
            f"8000:localhost:8000 {host}, and use http://localhost:8000",
        )


def is_this_machine(host: str) -> bool:
    """Return whether a host name or IP address always means this machine.

    Decided by how it is written, not by what it resolves to, which may change a moment later.
    ``localhost`` and what ends in it are reserved (RFC 6761, section 6.3).  IPv4 addresses are read
    as the system reads them, in which ``127.1`` is one.
    """
    name = host.lower().removesuffix(".")
    if name == LOCALHOST or name.endswith(f".{LOCALHOST}"):
        return True
    try:
        return _is_loopback(ip_address(name))
    except ValueError:
        pass
    try:
        return (
            bool(name)
            and not set(name) - set("0123456789abcdefx.")
            and _is_loopback(IPv4Address(socket.inet_aton(name)))
        )
    except OSError:
        return False


def exchange(
    url: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    seconds: float,
    max_bytes: int,
) -> Response:
    """Send a request and return the answer, whatever its status.

    The timeout of a socket begins anew with every byte, so that a server that sends one byte at a
    time could hold the caller for days.  So a thread waits for the answer; if it is late, the
    connection is cut and the thread ends.

    Args:
        url: an address that :func:`checked_address` let pass.
        body: sent by POST; fetched by GET if ``None``.
        headers: of the request.
        seconds: for all of it, from finding the host to the last byte of its answer.
        max_bytes: of the body; one more is read, so that the caller can tell.

    Raises:
        TimeoutError: the answer was not complete in time.
        OSError, HTTPException, ValueError: there was none (:data:`FAILURES`).
        UsageError: the environment names a proxy of a kind that is not known here.
    """
    exchanged: Future[Response] = Future()
    request = _Request(_Route.to(url), body, headers or {}, seconds)

    def run() -> None:
        try:
            with request.answered() as answer:
                found = Response(answer.status, answer.headers, answer.read(max_bytes + 1))
            exchanged.set_result(found)
        except Exception as error:
            exchanged.set_exception(error)

    Thread(target=run, daemon=True).start()
    try:
        return exchanged.result(seconds)
    except TimeoutError:
        request.cut()
        raise


def failure(error: BaseException) -> str:
    """Return why there was no response, without any text of the server.

    The server's text may repeat secrets of the request.
    """
    if isinstance(error, OSError):
        return printable(error.strerror or str(error), 200)
    return f"no HTTP ({type(error).__name__})"


@dataclass(frozen=True)
class _Route:
    """How a request gets to its host.

    Attributes:
        address: of the request.
        stays_here: whether that is this machine.
        proxy: host and port of the proxy, if there is one.
        credentials: the header that the proxy requires.
    """

    address: SplitResult
    stays_here: bool
    proxy: tuple[str, int] | None
    credentials: Mapping[str, str]

    @classmethod
    def to(cls, url: str) -> Self:
        address = checked_address(url, "the address")
        if is_this_machine(str(address.hostname)):
            return cls(address, True, None, {})
        proxies = getproxies()
        named = proxies.get(address.scheme) or proxies.get("all")
        if not named or proxy_bypass(address.netloc):
            return cls(address, False, None, {})
        proxy = _parsed_proxy(named, str(address.hostname))
        return cls(
            address, False, (str(proxy.hostname), proxy.port or DEFAULT_PROXY_PORT), _login(proxy)
        )

    @property
    def target(self) -> str:
        """The target in the request line."""
        path = self.address._replace(scheme="", netloc="", fragment="").geturl() or "/"
        if self.proxy is None or self.address.scheme == "https":
            return path if path.startswith("/") else f"/{path}"
        return self.address._replace(fragment="").geturl()

    @property
    def headers(self) -> Mapping[str, str]:
        """The proxy's credentials, if it sees the request's headers."""
        return self.credentials if self.address.scheme == "http" else {}

    def connection(self, seconds: float) -> HTTPConnection:
        """Return a connection that is not open yet."""
        host = str(self.address.hostname).removesuffix(".")
        port = self.address.port or DEFAULT_PORTS[self.address.scheme]
        first = (host, port) if self.proxy is None else self.proxy
        if self.address.scheme == "http":
            return HTTPConnection(*first, timeout=seconds)
        connection = HTTPSConnection(*first, timeout=seconds, context=_trusted())
        if self.proxy is not None:
            connection.set_tunnel(host, port, dict(self.credentials))
        return connection


class _Request:
    """One request over a connection of its own."""

    def __init__(
        self, route: _Route, body: bytes | None, headers: Mapping[str, str], seconds: float
    ) -> None:
        self._route, self._body, self._headers = route, body, headers
        self._connection = route.connection(seconds)
        self._socket: socket.socket | None = None  # which the connection lets go of too early
        self._is_cut = False

    @contextmanager
    def answered(self) -> Iterator[HTTPResponse]:
        """Send the request, and yield the response while the connection is open."""
        try:
            self._open()
            method = "GET" if self._body is None else "POST"
            sent = {**self._headers, **self._route.headers}
            self._connection.request(method, self._route.target, self._body, sent)
            with self._connection.getresponse() as answer:
                yield answer
        finally:
            self._connection.close()

    def cut(self) -> None:
        """End the connection, for which another thread is waiting, now or once it is open."""
        self._is_cut = True
        with suppress(OSError, AttributeError):  # it may not be open yet, or closed by now
            (self._socket or self._connection.sock).shutdown(socket.SHUT_RDWR)

    def _open(self) -> None:
        """Connect; nothing of the request is sent if that leads from this machine to another."""
        route = self._route
        try:
            self._connection.connect()
        except OSError as error:
            if route.proxy is None:
                raise
            host, port = route.proxy
            raise OSError(f"through the proxy {host}:{port}: {failure(error)}") from None
        self._socket = self._connection.sock
        if self._is_cut:
            raise TimeoutError
        peer = ip_address(self._connection.sock.getpeername()[0])
        if route.stays_here and not _is_loopback(peer):
            raise OSError(f"{route.address.hostname} leads to {peer}, which is not this machine")


@cache
def _trusted() -> ssl.SSLContext:
    """Return what certificates are checked against: the system's, or those of SSL_CERT_FILE."""
    return ssl.create_default_context()


def _parsed_proxy(named: str, host: str) -> SplitResult:
    """Return the parts of a proxy's address, which is never repeated: it may hold a password."""
    try:
        proxy = urlsplit(named if "://" in named else f"http://{named}")
        usable = proxy.scheme == "http" and proxy.hostname and proxy.port != 0
        kind = f"{proxy.scheme}://"
    except ValueError:
        usable, kind = False, "no address"
    if not usable:
        raise UsageError(
            f"the environment's proxy is {printable(kind, 20)}, expected http:// (requests through "
            "it still use TLS)",
            hint=f"set https_proxy to an http:// address, or no_proxy={host} to use none",
        )
    return proxy


def _login(proxy: SplitResult) -> Mapping[str, str]:
    if not proxy.username:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair.encode()).decode('ascii')}"}


def _is_loopback(address: IPv4Address | IPv6Address) -> bool:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback
