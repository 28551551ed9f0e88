"""Removal attacks, with which an owner tests a marked model before shipping it.

Attacks receive a :class:`~wmx.attacks.attack.Target`, which holds no key, no trigger and no trigger
label; only the campaign, which measures bits afterwards, has the watermark.
"""
