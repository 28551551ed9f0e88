"""Checks a model file of any supported format before onnxruntime reads it."""

from wmx.errors import CannotRunError
from wmx.suspect.policy.file_type import ORT_IDENTIFIER, describe_damage
from wmx.suspect.policy.onnx_rules import Outline, require_harmless
from wmx.suspect.policy.ort_rules import require_harmless_ort


def looked_through(data: bytes, name: str) -> Outline:
    """Check a model and return the files that it needs.

    Args:
        data: content of its file.
        name: of the model, for error messages.

    Raises:
        CannotRunError: it is no model, damaged, or breaks a rule, which the message names.
    """
    damage = describe_damage(data)
    if damage is not None:
        raise CannotRunError(f"{name} {damage.what}", hint=damage.hint)
    if data[4:8] == ORT_IDENTIFIER:
        require_harmless_ort(data, name)
        return Outline(name, ())
    return require_harmless(data, name)
