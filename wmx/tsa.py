"""Asking a timestamp authority over HTTP (RFC 3161, section 3.4)."""

from concurrent.futures import Future
from http.client import HTTPException
from threading import Thread
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from wmx.errors import CannotRunError, UsageError
from wmx.timestamp import MAX_RESPONSE_BYTES

DEADLINE_SECONDS = 30.0
OTHER_WAY_HINT = "or send the request yourself: wmx claim timestamp CLAIM --request FILE"


def ask_authority(url: str, request: bytes, *, seconds: float = DEADLINE_SECONDS) -> bytes:
    """Send a request and return the response, both DER.

    Args:
        url: of the authority.
        request: what to send.
        seconds: for all of it, from finding the authority to the last byte of its answer.

    Raises:
        UsageError: the address is not HTTP or HTTPS.
        CannotRunError: no answer, an error, or too long an answer.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise UsageError(f"--tsa is {url!r}, expected an http:// or https:// address")
    query = Request(  # noqa: S310 - the scheme was checked
        url, data=request, headers={"Content-Type": "application/timestamp-query"}
    )
    try:
        response = _exchange(query, seconds)
    except TimeoutError:
        raise CannotRunError(
            f"the timestamp authority {url} did not answer in full within {seconds:g} seconds",
            hint=OTHER_WAY_HINT,
        ) from None
    except (OSError, HTTPException, ValueError, URLError) as error:
        raise CannotRunError(
            f"the timestamp authority {url} did not answer: {error}", hint=OTHER_WAY_HINT
        ) from None
    if len(response) > MAX_RESPONSE_BYTES:
        raise CannotRunError(f"{url} answered more than {MAX_RESPONSE_BYTES:,} bytes")
    return response


def _exchange(query: Request, seconds: float) -> bytes:
    """Send a query and return the body of its answer, or as much as is more than enough.

    The timeout of a socket begins anew with every byte: who drips his answer would hold the caller
    for days.  So a thread of its own waits for the answer, and is left to itself if it is too late.

    Raises:
        TimeoutError: the answer was not complete in time.
    """
    exchanged: Future[bytes] = Future()

    def exchange() -> None:
        try:
            with urlopen(query, timeout=seconds) as answer:  # noqa: S310 - the caller checked
                body = answer.read(MAX_RESPONSE_BYTES + 1)
        except Exception as error:
            exchanged.set_exception(error)
        else:
            exchanged.set_result(body)

    Thread(target=exchange, daemon=True).start()
    return exchanged.result(seconds)
