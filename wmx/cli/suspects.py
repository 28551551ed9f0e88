"""The suspect as the command line names it: a file, an address, or a function."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wmx.errors import UsageError
from wmx.suspect.overrides import Overrides
from wmx.suspect.suspect import is_address

if TYPE_CHECKING:
    from wmx.suspect.request_policy import RequestPolicy
    from wmx.suspect.sandbox.limits import Limits
    from wmx.suspect.suspect import Suspect
    from wmx.suspect.types import Device


@dataclass(frozen=True)
class Named:
    """A suspect as the command line names it.

    Attributes:
        text: path or address; ``None`` if ``function`` is given.
        function: ``package.module:callable``; ``None`` if ``text`` is given.
        overrides: interface overrides (``--input``, ``--output``).
        token: file with a bearer token, for an address.
        weights: files with weights of an ONNX model whose names are not derived from its own.
        max_queries: most inputs that an address or a function is sent; the default if ``None``.
        rate: most inputs in a second for these; not limited if ``None``.
        timeout: seconds to wait for a response of an address; the default if ``None``.
    """

    text: str | None
    function: str | None
    overrides: Overrides
    token: Path | None
    weights: Sequence[Path] = ()
    max_queries: int | None = None
    rate: float | None = None
    timeout: float | None = None

    def __post_init__(self) -> None:
        if (self.text is None) == (self.function is None):
            raise UsageError(
                "expected one suspect: SUSPECT.onnx, an address, or --callable "
                "package.module:function",
                hint="wmx verify --help",
            )
        if self.function is not None and self.overrides != Overrides():
            raise UsageError("--input and --output are only for files and addresses")
        if self.token is not None and not self.is_address:
            raise UsageError("--token-file is only for an address")
        if self.weights and self.path is None:
            raise UsageError("--weights is only for an ONNX file")
        if self.path is not None and (self.max_queries is not None or self.rate is not None):
            raise UsageError("--max-queries and --rate are only for addresses and functions")
        if self.timeout is not None and not self.is_address:
            raise UsageError(
                "--timeout is only for an address",
                hint="a function sets the time limit of its requests itself; --seconds limits a "
                "file",
            )

    def request_policy(self) -> "RequestPolicy":
        """Return the limits on the queries, the defaults where an option was not named."""
        from wmx.suspect.request_policy import RequestPolicy

        usual = RequestPolicy()
        return RequestPolicy(
            max_queries=usual.max_queries if self.max_queries is None else self.max_queries,
            per_second=self.rate,
            seconds=usual.seconds if self.timeout is None else self.timeout,
        )

    @property
    def is_address(self) -> bool:
        """Whether it is queried over the network."""
        return self.text is not None and is_address(self.text)

    @property
    def words(self) -> list[str]:
        """The arguments of ``wmx verify`` for the suspect, without folders, and its overrides.

        Empty for a file without overrides.
        """
        more = [
            word for pair in self.overrides.inputs.items() for word in ("--input", "=".join(pair))
        ]
        if self.overrides.output is not None:
            more += ["--output", self.overrides.output]
        if self.function is not None:
            return ["--callable", self.function]
        if self.path is None:
            return [str(self.text), *more]
        return [f"./{self.path.name}", *more] if more else []

    @property
    def path(self) -> Path | None:
        """Path of the file; ``None`` for an address or a function."""
        return None if self.text is None or self.is_address else Path(self.text)


@contextmanager
def getting_ready(
    named: Named,
    device: "Device",
    limits: "Limits | None",
    never_weights: Iterable[Path],
) -> Iterator["Callable[[], Suspect]"]:
    """Yield a function that opens the suspect.

    The process that runs a file is started at once, to get ready while this one continues.

    Args:
        named: the suspect.
        device: where a file is run.
        limits: of the process that runs a file; the defaults if ``None``.
        never_weights: files and folders that no model is given as its weights.
    """
    if named.function is not None:
        function = named.function

        def opened() -> "Suspect":
            from wmx._internal.imports import callable_from
            from wmx.suspect.suspect import open_suspect

            found = callable_from(function, "--callable")
            return open_suspect(found, request_policy=named.request_policy())

        yield opened
    elif named.is_address:
        address = str(named.text)

        def opened() -> "Suspect":
            from wmx.suspect.endpoint.client import read_token
            from wmx.suspect.suspect import open_suspect

            token = None if named.token is None else read_token(named.token)
            return open_suspect(
                address,
                overrides=named.overrides,
                token=token,
                request_policy=named.request_policy(),
            )

        yield opened
    else:
        from wmx.suspect.sandbox.process import Sandbox

        path = str(named.text)
        with Sandbox.start(limits) as sandbox:

            def opened() -> "Suspect":
                from wmx.suspect.suspect import open_suspect

                return open_suspect(
                    path,
                    device,
                    sandbox=sandbox,
                    overrides=named.overrides,
                    weights=named.weights,
                    apart_from=never_weights,
                )

            yield opened
