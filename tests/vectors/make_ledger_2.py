"""How tests/vectors/ledger-2 was made, once: fixed key, claim and times, nothing random.

The file is frozen: every later version has to read it, or to refuse it by its format, so this
script refuses to run where it exists.  Run: python tests/vectors/make_ledger_2.py
"""

import sys
from pathlib import Path

from wmx import Claim, OwnerKey
from wmx.verification.ledger_file import Disclosure, ledger_to_bytes

CLAIMS = Path(__file__).parent / "wmx-3"
FOLDER = Path(__file__).parent / "ledger-2"
ENTRIES = (
    Disclosure(0, 43, "aa" * 32, "bb" * 32, "2026-11-28T00:00:00Z"),
    Disclosure(43, 21, "cc" * 32, "dd" * 32, "2026-11-29T00:00:00Z"),
)


def main() -> None:
    """Write the file."""
    if FOLDER.exists():
        sys.exit(f"{FOLDER} exists and is frozen")
    FOLDER.mkdir()
    claim, key = Claim.load(CLAIMS / "cells-grey.claim.json"), OwnerKey.load(CLAIMS / "owner.pem")
    (FOLDER / "cells-grey.ledger.json").write_bytes(ledger_to_bytes(ENTRIES, claim, key))


if __name__ == "__main__":
    main()
