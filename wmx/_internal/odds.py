"""Odds in words and figures, for commands and pages."""

from math import floor

MANY = 20  # bits from which on cases are a power of two


def odds(bits: float) -> str:
    """Return in plain words how rare the evidence is for a model made without the labels."""
    if bits <= 0:
        return "no evidence at all"
    if bits < MANY:
        return f"a model without the mark gets this far once in {2**bits:,.0f} cases or less"
    return f"a model without the mark gets this far once in 2^{floor(bits)} cases or less"


def scientific(log10: float) -> str:
    """Spell a probability that may be too small for a float."""
    if log10 >= -3:
        return f"{10**log10:.3f}"
    exponent = floor(log10)
    figures = f"{10 ** (log10 - exponent):.2g}"
    return f"1e{exponent + 1}" if figures == "10" else f"{figures}e{exponent}"
