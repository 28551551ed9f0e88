"""A bound on the work of parsing untrusted binary files, counted in steps.

Counting fields would not do: in a FlatBuffer a thousand of them can point to one string of
megabytes.  A step is one field, entry or table that is parsed, or 64 bytes that are copied, decoded
or compared.
"""

BYTES_PER_STEP = 64


class MalformedError(ValueError):
    """The file is damaged, or two readers would read it differently."""


class Work:
    """How many steps may still be taken for a file.

    Attributes:
        left: number of steps.
    """

    def __init__(self, steps: int) -> None:
        self.left = steps

    def take(self, steps: int = 1) -> None:
        """Count steps.

        Raises:
            MalformedError: there are no more.
        """
        self.left -= steps
        if self.left < 0:
            raise MalformedError("reading it takes more work than any honest file")

    def take_bytes(self, count: int) -> None:
        """Count the steps of ``count`` bytes that are gone through.  Raises as :meth:`take`."""
        self.take(1 + count // BYTES_PER_STEP)
