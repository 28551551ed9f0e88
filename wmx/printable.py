"""Text of strangers, made safe to print."""


def printable(text: str, most: int | None = 500) -> str:
    """Return ``text`` without control and direction characters, cut to ``most`` if that is given.

    A model's names or a child's error could else clear a terminal or write a verdict of its own.
    """
    shown = "".join(c if c.isprintable() else " " for c in text[:most])
    return shown + ("..." if most is not None and len(text) > most else "")
