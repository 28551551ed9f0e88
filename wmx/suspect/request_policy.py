"""How many inputs a suspect may be sent that somebody else runs, how fast, and how that is kept."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from wmx.errors import MORE_QUERIES_HINT, QueryBudgetError, UsageError


@dataclass(frozen=True)
class RequestPolicy:
    """Limits on the queries to a server, or to a function that queries one.

    ``retries`` and ``seconds`` are for servers that wmx queries itself: what a function sends is
    repeated and timed by the function.

    Attributes:
        max_queries: number of inputs that may be sent in all, with those of repeated requests
            (default: 2000).
        per_second: inputs per second, at most; as fast as the server replies if ``None``.
        retries: how often a request is repeated after a network failure or HTTP 429, 502, 503 or
            504 (default: 4).
        seconds: time limit for one request (default: 30).
    """

    max_queries: int = 2000
    per_second: float | None = None
    retries: int = 4
    seconds: float = 30.0

    def __post_init__(self) -> None:
        positive = [self.max_queries, self.seconds]
        if self.per_second is not None:
            positive.append(self.per_second)
        if not all(0 < number < float("inf") for number in positive) or self.retries < 0:
            raise UsageError(f"{self} holds a number that is not positive or not finite")


@dataclass
class Meter:
    """Counts and paces the inputs that one suspect is sent.

    Attributes:
        policy: limits on the queries.
        queried: number of inputs sent so far.
        clock, sleep: in seconds; replaced in tests.
    """

    policy: RequestPolicy
    queried: int = 0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _free_at: float = 0.0

    @property
    def left(self) -> int:
        """Number of inputs that may still be sent."""
        return self.policy.max_queries - self.queried

    def wait_for(self, inputs: int, name: str) -> None:
        """Wait until so many inputs may be sent, and count them.

        Args:
            inputs: number of inputs that are about to be sent.
            name: of the suspect, for the error.

        Raises:
            QueryBudgetError: fewer are left; none is to be sent then.
        """
        if inputs > self.left:
            raise QueryBudgetError(
                f"{name} was queried with {self.queried} inputs, and no more than "
                f"{self.policy.max_queries} are allowed",
                hint=MORE_QUERIES_HINT,
                in_python="allow more with RequestPolicy(max_queries=...)",
            )
        now = self.clock()
        if self._free_at > now:
            self.sleep(self._free_at - now)
        self.queried += inputs
        if self.policy.per_second is not None:
            self._free_at = max(now, self._free_at) + inputs / self.policy.per_second
