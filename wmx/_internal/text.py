"""Text for people: untrusted strings made safe to print, and probabilities in words."""

from math import floor

MAX_FILE_NAME = 255  # characters
MANY = 20  # bits from which on the number of cases is written as a power of two


def printable(text: str, most: int | None = 500) -> str:
    """Return text without control and direction characters, cut to a length.

    Otherwise a name in a model file, or an error of its process, could clear a terminal or imitate
    a verdict.

    Args:
        text: untrusted.
        most: characters to keep; all if ``None``.
    """
    shown = text[:most]
    hidden = [character for character in set(shown) if not character.isprintable()]
    if hidden:
        shown = shown.translate(dict.fromkeys(map(ord, hidden), " "))
    return shown + ("..." if most is not None and len(text) > most else "")


def is_file_name(text: str) -> bool:
    """Return whether ``text`` is a plain file name on every system, and no path."""
    return (
        0 < len(text) <= MAX_FILE_NAME
        and text.isprintable()
        and text not in (".", "..")
        and not {"/", "\\"} & set(text)
    )


def odds(bits: float) -> str:
    """Return in words how rarely a model made without the secret labels reaches so many bits."""
    if bits <= 0:
        return "no evidence at all"
    if bits < MANY:
        return f"a model without the mark gets this far at most once in {2**bits:,.0f} cases"
    return f"a model without the mark gets this far at most once in 2^{floor(bits)} cases"


def scientific(log10: float) -> str:
    """Format a probability that may be too small for a float, given its log10."""
    if log10 >= -3:
        return f"{10**log10:.3f}"
    exponent = floor(log10)
    figures = f"{10 ** (log10 - exponent):.2g}"
    return f"1e{exponent + 1}" if figures == "10" else f"{figures}e{exponent}"
