"""Querying a timestamp authority over HTTP (RFC 3161, section 3.4)."""

from wmx._internal.http import FAILURES, checked_address, exchange, failure
from wmx.errors import CannotRunError
from wmx.protocol.stamped import MAX_RESPONSE_BYTES

OK = 200
DEADLINE_SECONDS = 30.0
ALTERNATIVE_HINT = (
    "try again or ask another authority; or write the request to a file with --request instead of "
    "--tsa, send it yourself, and give the answer with --response"
)


def ask_authority(url: str, request: bytes, *, seconds: float = DEADLINE_SECONDS) -> bytes:
    """Send a request to a timestamp authority and return the response, both DER.

    Plain HTTP is allowed, as most authorities use it: the request holds a digest and a random
    number, neither of them secret, and the response is signed.

    Args:
        url: of the authority.
        request: DER of the TimeStampReq.
        seconds: time limit for the whole exchange (default: 30).

    Raises:
        UsageError: the address is not HTTP or HTTPS, or holds a password.
        CannotRunError: no answer, an error, or too long an answer.
    """
    checked_address(url, "--tsa")
    try:
        response = exchange(
            url,
            body=request,
            headers={"Content-Type": "application/timestamp-query"},
            seconds=seconds,
            max_bytes=MAX_RESPONSE_BYTES,
        )
    except TimeoutError:
        raise CannotRunError(
            f"the timestamp authority {url} did not answer in full within {seconds:g} seconds",
            hint=ALTERNATIVE_HINT,
        ) from None
    except FAILURES as error:
        raise CannotRunError(
            f"the timestamp authority {url} did not answer: {failure(error)}", hint=ALTERNATIVE_HINT
        ) from None
    if response.status != OK:
        raise CannotRunError(
            f"the timestamp authority {url} answered with HTTP {response.status}",
            hint=ALTERNATIVE_HINT,
        )
    if len(response.body) > MAX_RESPONSE_BYTES:
        raise CannotRunError(f"{url} answered more than {MAX_RESPONSE_BYTES:,} bytes")
    return response.body
