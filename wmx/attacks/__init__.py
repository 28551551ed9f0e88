"""Removal attacks, with which an owner tests a marked model before shipping it.

Attacks receive a :class:`~wmx.attacks.attack.Target`, which holds no key, no trigger and no trigger
label; only the campaign, which measures bits afterwards, has the watermark.
"""

from wmx._internal.lazy import names_from

TYPE_CHECKING = False  # as typing's

if TYPE_CHECKING:
    from wmx.attacks.attack import Attack, Target
    from wmx.attacks.campaign import attack_model
    from wmx.attacks.catalogue import chosen_attacks
    from wmx.attacks.target import target_from_file, target_from_run

_HOMES = {
    "Attack": "wmx.attacks.attack",
    "Target": "wmx.attacks.attack",
    "attack_model": "wmx.attacks.campaign",
    "chosen_attacks": "wmx.attacks.catalogue",
    "target_from_file": "wmx.attacks.target",
    "target_from_run": "wmx.attacks.target",
}

__all__ = [
    "Attack",
    "Target",
    "attack_model",
    "chosen_attacks",
    "target_from_file",
    "target_from_run",
]

__getattr__ = names_from(__name__, _HOMES)
