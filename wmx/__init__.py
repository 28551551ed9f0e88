"""wmx: is this model mine?  Mark a classifier while it trains, prove it from its ONNX file later.

>>> from wmx import OwnerKey, Watermark
>>> watermark = Watermark.new(OwnerKey.generate(), shape=(28, 28, 1), classes=10)
>>> watermark.labels.shape
(100,)

Names are loaded on first use: ``import wmx`` itself imports nothing heavy.
"""

from importlib import import_module

TYPE_CHECKING = False  # as typing's, which takes longer to import than all the rest

if TYPE_CHECKING:
    from wmx.errors import (
        CannotRunError,
        IntegrityError,
        MissingExtraError,
        SuspectDiedError,
        UsageError,
        WmxError,
    )
    from wmx.protocol.claim import Claim
    from wmx.protocol.keys import OwnerKey
    from wmx.protocol.task import Task
    from wmx.suspect.endpoint.client import RequestPolicy
    from wmx.suspect.sandbox.limits import Limits
    from wmx.suspect.sandbox.process import Sandbox
    from wmx.suspect.suspect import open_suspect
    from wmx.verification.verdict import Verdict, verify
    from wmx.watermark import Watermark

__version__ = "0.1.0"

_HOMES = {
    "CannotRunError": "wmx.errors",
    "Claim": "wmx.protocol.claim",
    "IntegrityError": "wmx.errors",
    "Limits": "wmx.suspect.sandbox.limits",
    "RequestPolicy": "wmx.suspect.endpoint.client",
    "MissingExtraError": "wmx.errors",
    "OwnerKey": "wmx.protocol.keys",
    "Sandbox": "wmx.suspect.sandbox.process",
    "SuspectDiedError": "wmx.errors",
    "Task": "wmx.protocol.task",
    "UsageError": "wmx.errors",
    "Verdict": "wmx.verification.verdict",
    "Watermark": "wmx.watermark",
    "WmxError": "wmx.errors",
    "open_suspect": "wmx.suspect.suspect",
    "verify": "wmx.verification.verdict",
}

__all__ = [
    "CannotRunError",
    "Claim",
    "IntegrityError",
    "Limits",
    "MissingExtraError",
    "OwnerKey",
    "RequestPolicy",
    "Sandbox",
    "SuspectDiedError",
    "Task",
    "UsageError",
    "Verdict",
    "Watermark",
    "WmxError",
    "__version__",
    "open_suspect",
    "verify",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'wmx' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
