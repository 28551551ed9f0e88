"""The five stacks that are compared: a framework, and for Keras its backend, each in a process."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

STACKS = {
    "torch": ("torch", None),
    "jax": ("jax", None),
    "keras-tensorflow": ("keras", "tensorflow"),
    "keras-jax": ("keras", "jax"),
    "keras-torch": ("keras", "torch"),
}


def add_stack_option(parser: argparse.ArgumentParser) -> None:
    """Let ``--stack`` choose one; all of them, one process after the other, if it is not given."""
    parser.add_argument("--stack", choices=STACKS)


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """Let ``--device`` choose where networks are trained."""
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")


def on_device(name: str, device: str) -> str:
    """Return what a result is called: that of the CPU bears no device."""
    return name if device == "cpu" else f"{name}_{device}"


def run_all() -> None:
    """Run this command again once for each stack."""
    for stack, (_, backend) in STACKS.items():
        environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3")
        if backend is not None:
            environment["KERAS_BACKEND"] = backend
        command = [sys.executable, *sys.argv, "--stack", stack]
        subprocess.run(command, check=True, env=environment, cwd=Path.cwd())


def framework_of(stack: str) -> str:
    """Return the framework's name; the backend must have been set before Keras is imported."""
    framework, backend = STACKS[stack]
    if backend is not None:
        os.environ["KERAS_BACKEND"] = backend
    return framework
