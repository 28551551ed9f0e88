"""Suspects: model files, functions and addresses that are queried, none of them trusted.

:func:`wmx.open_suspect` opens one; here is what it can be told.
"""

import os

from wmx._internal.lazy import names_from

TYPE_CHECKING = False  # as typing's: the locked process imports this package first

if TYPE_CHECKING:
    from wmx.protocol.model_reference import ModelReference
    from wmx.suspect.overrides import Overrides
    from wmx.suspect.request_policy import RequestPolicy
    from wmx.suspect.sandbox.limits import Limits
    from wmx.suspect.sandbox.process import Sandbox
    from wmx.suspect.suspect import Suspect

_HOMES = {
    "Limits": "wmx.suspect.sandbox.limits",
    "ModelReference": "wmx.protocol.model_reference",
    "Overrides": "wmx.suspect.overrides",
    "RequestPolicy": "wmx.suspect.request_policy",
    "Sandbox": "wmx.suspect.sandbox.process",
    "Suspect": "wmx.suspect.suspect",
}

__all__ = ["Limits", "ModelReference", "Overrides", "RequestPolicy", "Sandbox", "Suspect"]

# from 1.31 on onnxruntime reports the machine it is imported on to its makers, in every process
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__getattr__ = names_from(__name__, _HOMES)
