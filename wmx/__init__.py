"""wmx: is this model mine?  Mark a classifier while it trains, prove it from its ONNX file later.

>>> from wmx import OwnerKey, Watermark
>>> watermark = Watermark.new(OwnerKey.generate(), shape=(28, 28, 1), classes=10)
>>> watermark.labels.shape
(100,)

Public are the names in ``__all__`` and those of :mod:`wmx.errors`, :mod:`wmx.triggers`,
:mod:`wmx.suspect`, :mod:`wmx.verification`, :mod:`wmx.training` and :mod:`wmx.attacks`.
Names are loaded on first use: ``import wmx`` itself imports nothing heavy.
"""

from wmx._internal.lazy import names_from
from wmx._version import __version__

TYPE_CHECKING = False  # as typing's, which takes longer to import than all the rest

if TYPE_CHECKING:
    from wmx.errors import WmxError
    from wmx.protocol.claim import Claim
    from wmx.protocol.keys import OwnerKey
    from wmx.protocol.task import Task
    from wmx.protocol.timestamp import load_roots
    from wmx.suspect.suspect import open_suspect
    from wmx.training.embed import embed
    from wmx.verification.check import check
    from wmx.verification.evidence import Evidence
    from wmx.verification.prove import prove
    from wmx.verification.verdict import Verdict, verify
    from wmx.watermark import Watermark

_HOMES = {
    "Claim": "wmx.protocol.claim",
    "Evidence": "wmx.verification.evidence",
    "OwnerKey": "wmx.protocol.keys",
    "Task": "wmx.protocol.task",
    "Verdict": "wmx.verification.verdict",
    "Watermark": "wmx.watermark",
    "WmxError": "wmx.errors",
    "check": "wmx.verification.check",
    "embed": "wmx.training.embed",
    "load_roots": "wmx.protocol.timestamp",
    "open_suspect": "wmx.suspect.suspect",
    "prove": "wmx.verification.prove",
    "verify": "wmx.verification.verdict",
}

__all__ = [
    "Claim",
    "Evidence",
    "OwnerKey",
    "Task",
    "Verdict",
    "Watermark",
    "WmxError",
    "__version__",
    "check",
    "embed",
    "load_roots",
    "open_suspect",
    "prove",
    "verify",
]


__getattr__ = names_from(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
