"""Removal attacks: what an owner tries on a marked model before shipping it.

Attacks see a :class:`~wmx.attacks.attack.Target`, in which there is no key, no trigger and no label
of one; only the runner, which counts bits afterwards, has the watermark.
"""
