"""Looking through a model of any format that the runtime takes, before it is given a byte of it."""

from wmx.errors import CannotRunError
from wmx.suspect.policy.file_type import ORT_IDENTIFIER, describe_damage
from wmx.suspect.policy.onnx_rules import Outline, require_harmless
from wmx.suspect.policy.ort_rules import require_harmless_ort


def looked_through(data: bytes, name: str) -> Outline:
    """Return what is known of a model that breaks no rule by itself.

    Args:
        data: its file.
        name: what errors call it.

    Raises:
        CannotRunError: no model, damaged, or reaching beyond its files; says which rule it breaks.
    """
    damage = describe_damage(data)
    if damage is not None:
        raise CannotRunError(f"{name} {damage.what}", hint=damage.hint)
    if data[4:8] == ORT_IDENTIFIER:
        require_harmless_ort(data, name)
        return Outline(name, ())
    return require_harmless(data, name)
