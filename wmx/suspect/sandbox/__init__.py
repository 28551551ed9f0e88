"""A process of its own for what a stranger made: started by the parent, locked from inside.

The child is a fresh Python, never a fork: the owner key and the triggers are not in its memory.
It does nothing with a stranger's bytes before its limits hold.  :mod:`wmx.suspect.sandbox.process`
imports nothing heavy, so that the child can be started first and both processes get ready together.
"""
