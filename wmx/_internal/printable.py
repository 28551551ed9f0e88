"""Text of strangers, made safe to print."""

MAX_FILE_NAME = 255  # characters


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
