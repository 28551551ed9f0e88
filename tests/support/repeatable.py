"""Keys, salts and dates of the claims that tests make: the same in every run of a test.

What a test draws hangs on its name and ``--seed`` alone, not on which tests ran before it or on the
clock.  So a test that some keys fail fails in every run or in none, and ``--seed`` looks for such
keys.  What commands in processes of their own draw stays fresh.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import wmx.protocol.claim
import wmx.protocol.release_record
import wmx.report.ownership
import wmx.verification.evidence
import wmx.verification.ledger
import wmx.watermark

# before the dates that an authority in a test states, which are about now
CREATED = "2026-11-25T12:00:00Z"


class Stream:
    """32 bytes after 32 bytes, from a name."""

    def __init__(self, name: str) -> None:
        self._name, self._count = name, 0

    def draw(self) -> bytes:
        """Return the next 32 bytes."""
        self._count += 1
        return hashlib.sha256(f"{self._name} {self._count}".encode()).digest()


class Repeatable:
    """The plugin: it gives each test, each shared fixture and each module a stream of its own."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._stream = Stream("")

    @contextmanager
    def _stream_of(self, name: str) -> Iterator[None]:
        before, self._stream = self._stream, Stream(f"{self._seed} {name}")
        try:
            yield
        finally:
            self._stream = before

    def pytest_configure(self) -> None:
        """Replace where keys, salts and dates come from, not the code that asks for them.

        Only a claim's date goes into its labels: the other modules that were imported above keep
        the clock.
        """
        wmx.watermark.secrets = SimpleNamespace(token_bytes=self._bytes)  # type: ignore[attr-defined]
        wmx.protocol.claim.now_text = lambda: CREATED
        Ed25519PrivateKey.generate = self._key  # type: ignore[method-assign]

    def _bytes(self, count: int) -> bytes:
        return self._stream.draw()[:count]

    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self._stream.draw())

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Any:
        with self._stream_of(collector.nodeid):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        with self._stream_of(item.nodeid):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: pytest.FixtureRequest) -> Any:
        if fixturedef.scope == "function":
            return (yield)
        part = getattr(request, "param_index", "")
        with self._stream_of(f"{fixturedef.baseid} {fixturedef.argname} {part}"):
            return (yield)
