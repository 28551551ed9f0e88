"""Asking a timestamp authority over HTTP (RFC 3161, section 3.4)."""

from http.client import HTTPException
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from wmx.errors import CannotRunError, UsageError
from wmx.timestamp import MAX_RESPONSE_BYTES

TIMEOUT_SECONDS = 30


def ask_authority(url: str, request: bytes) -> bytes:
    """Send a request and return the response, both DER.

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
        with urlopen(query, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
            response: bytes = answer.read(MAX_RESPONSE_BYTES + 1)
    except (OSError, HTTPException, ValueError, URLError) as error:
        raise CannotRunError(
            f"the timestamp authority {url} did not answer: {error}",
            hint="or send the request yourself: wmx claim timestamp CLAIM --request FILE",
        ) from None
    if len(response) > MAX_RESPONSE_BYTES:
        raise CannotRunError(f"{url} answered more than {MAX_RESPONSE_BYTES:,} bytes")
    return response
