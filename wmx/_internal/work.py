"""What the readers of a stranger's binary files share: a bound on the work, and the word "damaged".

Fields are the wrong thing to count: in a FlatBuffer a thousand of them can point to one string of
megabytes.  What is counted is steps: one for each field, entry or table that is looked at, and one
for every 64 bytes that are copied, decoded or compared.
"""

BYTES_PER_STEP = 64


class MalformedError(ValueError):
    """The bytes are not what they should be, or two readers would read them in two ways."""


class Work:
    """How many steps may still be taken, over all of a file.

    Attributes:
        left: steps.
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
