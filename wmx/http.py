"""One HTTP exchange with a stranger: bounded in time and size, following nobody elsewhere."""

from concurrent.futures import Future
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException
from threading import Thread
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

FAILURES = (OSError, HTTPException, ValueError, URLError)


@dataclass(frozen=True)
class Response:
    """What was answered.

    Attributes:
        status: of HTTP.
        headers: of HTTP.
        body: all of it, or one byte more than was allowed.
    """

    status: int
    headers: Message
    body: bytes


class _NoRedirects(HTTPRedirectHandler):
    """Leaves a redirect as the answer that it is: who it points to was not asked for."""

    def redirect_request(self, *_: Any) -> None:
        return None


_opener = build_opener(_NoRedirects)


def exchange(request: Request, *, seconds: float, max_bytes: int) -> Response:
    """Send a request, whose address was checked, and return the answer, whatever its status.

    The timeout of a socket begins anew with every byte: who drips his answer would hold the caller
    for days.  So a thread of its own waits for the answer, and is left to itself if it is too late.

    Args:
        request: what to send.
        seconds: for all of it, from finding the host to the last byte of its answer.
        max_bytes: of the body; one more is read, so that the caller can tell.

    Raises:
        TimeoutError: the answer was not complete in time.
        OSError, HTTPException, ValueError: there was none (:data:`FAILURES`).
    """
    exchanged: Future[Response] = Future()

    def run() -> None:
        try:
            try:
                answer = _opener.open(request, timeout=seconds)
            except HTTPError as error:  # an answer too
                answer = error
            with answer:
                body = answer.read(max_bytes + 1)
                exchanged.set_result(Response(answer.status, answer.headers, body))
        except Exception as error:
            exchanged.set_exception(error)

    Thread(target=run, daemon=True).start()
    return exchanged.result(seconds)
