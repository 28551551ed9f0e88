"""A sandboxed child process for untrusted models, with limits on time, memory and system calls.

The child is a fresh Python, never a fork: the owner key and the triggers are not in its memory.  It
reads nothing untrusted before its limits hold.  :mod:`wmx.suspect.sandbox.process` imports nothing
heavy, so that the child can be started first and both processes get ready together.
"""
