"""HTTP client for model servers, with a request policy: pace, retries, time limits, query limit.

Triggers and token are secrets.  They go over TLS or to this machine (:mod:`wmx._internal.http`),
and no text of a server that has seen triggers is ever shown, since it could repeat them.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from wmx._internal.budget import paused
from wmx._internal.files import read_bytes
from wmx._internal.http import (
    FAILURES,
    Response,
    checked_address,
    exchange,
    failure,
    require_no_eavesdropper,
)
from wmx._internal.text import printable
from wmx.errors import CannotRunError, UsageError
from wmx.suspect.endpoint.messages import ProtocolError, parsed
from wmx.suspect.request_policy import Meter, RequestPolicy

MAX_BODY_BYTES = 2**26
MAX_TOKEN_BYTES = 2**16
MAX_REASON_BYTES = 2**16
UNSAID = "its message is not shown, since it may repeat triggers; see the server's log"
PATHS_HINT = (
    "the Open Inference Protocol v2 has GET /v2 (of the server), GET /v2/models/NAME, and POST "
    "/v2/models/NAME/infer; query another API with --callable package.module:function"
)
TRIED_AGAIN = (429, 502, 503, 504)
LONGEST_WAIT = 60.0


@dataclass
class Client:
    """Sends requests to one server.

    Attributes:
        base: its address, without a slash at the end.
        token: sent as a bearer token; stays out of ``repr``.
        request_policy: limits on the queries.
        clock, sleep: in seconds; replaced in tests.
    """

    base: str
    token: str | None = field(default=None, repr=False)
    request_policy: RequestPolicy = field(default_factory=RequestPolicy)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        self._meter = Meter(self.request_policy, clock=self.clock, sleep=self.sleep)
        address = checked_address(self.base, "the model's address")
        if address.query or address.fragment:
            raise UsageError(
                "the address holds more than host and path", hint="a token is given by --token-file"
            )
        require_no_eavesdropper(address, "triggers" if self.token is None else "a token")
        if self.token is not None and not _is_token(self.token):
            raise UsageError("the token is malformed: expected one word of ASCII characters")

    @property
    def left(self) -> int:
        """Number of inputs that may still be sent."""
        return self._meter.left

    def get(self, path: str) -> Response:
        """Send a GET request, before any trigger is sent; raises as :meth:`post`."""
        with paused():  # rate, retries and the time for one response have limits of their own
            return self._send(path, None, {}, 0)

    def post(self, path: str, body: bytes, headers: dict[str, str], *, inputs: int) -> Response:
        """Send an inference request and return the response, of status 200.

        Args:
            path: below the base address.
            body: of the request.
            headers: of the request.
            inputs: number of inputs in it, which count as queries.

        Raises:
            CannotRunError: no response, an error, a redirect, a response that is too long or too
                late, or no queries are left.
        """
        with paused():
            return self._send(path, body, headers, inputs)

    def shown(self, said: str, most: int | None = 200) -> str:
        """Return text of the server as one printable line, without the token.

        Args:
            said: the text.
            most: characters to keep; all if ``None``.
        """
        return printable(said if self.token is None else said.replace(self.token, "..."), most)

    def _send(
        self, path: str, body: bytes | None, headers: dict[str, str], inputs: int
    ) -> Response:
        sent = {"Accept": "application/json, application/octet-stream", **headers}
        if self.token is not None:
            sent["Authorization"] = f"Bearer {self.token}"
        for attempt in range(self.request_policy.retries + 1):
            self._meter.wait_for(inputs, self.base)
            last = attempt == self.request_policy.retries
            try:
                response = exchange(
                    f"{self.base}{path}",
                    body=body,
                    headers=sent,
                    seconds=self.request_policy.seconds,
                    max_bytes=MAX_BODY_BYTES,
                )
            except TimeoutError:
                if last:
                    raise CannotRunError(
                        f"{self.base} did not answer in full within "
                        f"{self.request_policy.seconds:g} seconds",
                        hint="give it more with --timeout",
                    ) from None
                continue
            except FAILURES as error:
                if last:
                    raise CannotRunError(
                        f"{self.base} did not answer: {failure(error)}",
                        hint="is the server running, and the address right? host, port and path "
                        "are as in https://HOST:PORT/v2/models/NAME",
                    ) from None
                self.sleep(_pause(attempt, None))
                continue
            if response.status in TRIED_AGAIN and not last:
                self.sleep(_pause(attempt, response.headers.get("Retry-After")))
                continue
            return self._accepted(path, response, in_words=body is None)
        raise AssertionError("the last attempt returns or raises")

    def _accepted(self, path: str, response: Response, *, in_words: bool) -> Response:
        """Return a response of status 200; else raise, with the server's message if it is safe."""
        if len(response.body) > MAX_BODY_BYTES:
            raise CannotRunError(f"{self.base} answered more than {MAX_BODY_BYTES:,} bytes")
        if 300 <= response.status < 400:
            where = response.headers.get("Location") or "" if in_words else ""
            raise CannotRunError(
                f"{self.base} redirects to {self.shown(where) or 'another address'}, and wmx "
                "does not follow redirects",
                hint="give the final address of the model",
            )
        if response.status in (401, 403):
            raise CannotRunError(
                f"{self.base} refused access (HTTP {response.status})",
                hint="give it a token: --token-file FILE",
            )
        if response.status != 200:
            reason = self.shown(_reason(response.body)) if in_words else UNSAID
            raise CannotRunError(
                f"{self.base}{path} answered with HTTP {response.status}: {reason}",
                hint=PATHS_HINT if response.status == 404 else None,
            )
        return response


def read_token(path: Path) -> str:
    """Read a bearer token: one line.

    Raises:
        CannotRunError: the file cannot be read.
        UsageError: it holds no token, which is one word of ASCII characters.
    """
    text = read_bytes(path, "token", MAX_TOKEN_BYTES).decode("utf-8", "replace").strip()
    if not _is_token(text):
        raise UsageError(f"{path} holds no token: expected one word of ASCII characters")
    return text


def _pause(attempt: int, retry_after: str | None) -> float:
    """Return seconds before the next attempt: as the server requests, or more each time."""
    if retry_after is not None and retry_after.isascii() and retry_after.isdecimal():
        return min(float(retry_after[:6]), LONGEST_WAIT)
    return min(0.5 * 2.0**attempt, LONGEST_WAIT)


def _reason(body: bytes) -> str:
    """Return the message of an error response."""
    try:
        said = parsed(body[:MAX_REASON_BYTES]).get("error")
    except ProtocolError:
        said = None
    return said if isinstance(said, str) else body[:MAX_REASON_BYTES].decode("utf-8", "replace")


def _is_token(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and " " not in text
