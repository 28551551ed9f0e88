"""User overrides for model inputs and outputs, and their penalty in bits."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Self

from wmx.errors import UsageError

NUMBER = re.compile(r"[-+]?[0-9]{1,12}(\.[0-9]{1,12})?(e[-+]?[0-9]{1,2})?")
BITS_OF_A_CHARACTER = 4.0  # ten digits, sign, point, exponent, end: 14 of 16
BITS_OF_A_NAME = 16.0  # that there is an override at all, and for which of at most 64 names


@dataclass(frozen=True)
class Overrides:
    """Fixed numbers for inputs that take no trigger, and the one output to read.

    Attributes:
        inputs: a decimal number as text, by the input's name.
        output: name of the output; all classifier-like ones if ``None``.
    """

    inputs: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    output: str | None = None

    def __post_init__(self) -> None:
        for name, number in self.inputs.items():
            if not NUMBER.fullmatch(number):
                raise UsageError(
                    f"the input {name!r} is given as {number!r}, expected a number of at most 12 "
                    "digits on each side of the point",
                    hint="an input that needs more than one number can be fed by --callable",
                )

    @classmethod
    def parse(cls, inputs: list[str], output: str | None = None) -> Self:
        """Parse the values of the options --input and --output.

        Args:
            inputs: each ``"NAME=NUMBER"``.
            output: name of the output to read; all classifier-like ones if ``None``.

        Raises:
            UsageError: not of that form, a name occurs twice, or no number.
        """
        found: dict[str, str] = {}
        for text in inputs:
            name, equals, number = text.rpartition("=")
            if not equals or not name:
                raise UsageError(f"--input is {text!r}, expected NAME=NUMBER")
            if name in found:
                raise UsageError(f"--input gives {name!r} twice")
            found[name] = number
        return cls(found, output)

    @property
    def penalty(self) -> float:
        """Bits to subtract from the evidence.

        Anybody who may choose an output or a number can try many and keep the choice with the most
        evidence.  Over all numbers of all lengths 2**-penalty sums to less than 1 (Kraft), and over
        all overrides of a model with 64 inputs and 64 outputs to less than 1/500.  So by the union
        bound the best choice, no override included, reaches b bits at most 1.002 times in 2**b.
        """
        names = len(self.inputs) + (self.output is not None)
        characters = sum(len(number) + 1 for number in self.inputs.values())
        return BITS_OF_A_NAME * names + BITS_OF_A_CHARACTER * characters


NO_OVERRIDES = Overrides()
