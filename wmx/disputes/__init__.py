"""Disputes: several claims verify on one suspect; whose is it? (docs/disputes.md).

The core takes windows of triggers and does not care whether they come from an owner key or from an
evidence.  What is found is never more certain than what was shown: most disputes in which a party
has kept no original and no timestamp stay undecided.
"""
