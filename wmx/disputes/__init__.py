"""Disputes: several claims verify on one suspect; whose is it? (docs/disputes.md).

The code works on trigger slices, which may come from an owner key or from an evidence.  A result is
never more certain than what was shown: most disputes in which a party has kept no original and no
timestamp stay undecided.
"""
