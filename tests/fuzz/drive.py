"""Fuzz one parser in this process: ``python drive.py TARGET [options of libFuzzer] [folders]``.

Ends with exit code 0 after ``-runs=N`` executions without a finding; a finding is a traceback.
"""

import sys

import atheris

with atheris.instrument_imports(include=["wmx", "targets", "rfc8785"]):
    from targets import TARGETS


def main() -> None:
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
