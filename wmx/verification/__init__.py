"""Verdicts and evidence: query a suspect, score its predictions, prove, check, keep account.

:func:`wmx.verify`, :func:`wmx.prove` and :func:`wmx.check` are the main ones.
"""

from wmx._internal.lazy import names_from

TYPE_CHECKING = False  # as typing's

if TYPE_CHECKING:
    from wmx.verification.check import Checked
    from wmx.verification.ledger import Ledger
    from wmx.verification.release import record_of
    from wmx.verification.scan import verify_any
    from wmx.verification.selection import Selection
    from wmx.verification.store import Store

_HOMES = {
    "Checked": "wmx.verification.check",
    "Ledger": "wmx.verification.ledger",
    "Selection": "wmx.verification.selection",
    "Store": "wmx.verification.store",
    "record_of": "wmx.verification.release",
    "verify_any": "wmx.verification.scan",
}

__all__ = ["Checked", "Ledger", "Selection", "Store", "record_of", "verify_any"]

__getattr__ = names_from(__name__, _HOMES)
