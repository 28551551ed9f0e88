"""Text for people: untrusted strings made safe to print, and probabilities in words."""

from math import floor

MAX_FILE_NAME = 255  # characters
MANY = 20  # bits from which on cases are a power of two


def printable(text: str, most: int | None = 500) -> str:
    """Return ``text`` without control and direction characters, cut to ``most`` if that is given.

    A model's names or a child's error could else clear a terminal or write a verdict of its own.
    """
    shown = text[:most]
    hidden = [character for character in set(shown) if not character.isprintable()]
    if hidden:
        shown = shown.translate(dict.fromkeys(map(ord, hidden), " "))
    return shown + ("..." if most is not None and len(text) > most else "")


def is_file_name(text: str) -> bool:
    """Say whether ``text`` names a file in a folder, on every system, and nothing else."""
    return (
        0 < len(text) <= MAX_FILE_NAME
        and text.isprintable()
        and text not in (".", "..")
        and not {"/", "\\"} & set(text)
    )


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
