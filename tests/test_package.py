"""The built wheel in an environment that holds its core dependencies and nothing else."""

import json
import os
import re
import subprocess
import sys
import sysconfig
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from support import onnx_models

from wmx import Claim, OwnerKey, Watermark

ROOT = Path(__file__).parents[1]


def core_distributions() -> set[str]:
    """Return wmx's dependencies without extras, and theirs."""
    wanted, found = ["wmx"], set()
    while wanted:
        name = wanted.pop()
        try:
            requirements = distribution(name).requires or []
        except PackageNotFoundError:  # behind a marker of another platform
            continue
        if name != "wmx":
            found.add(name)
        for requirement in requirements:
            dependency = re.match(r"[\w.-]+", requirement)
            if dependency and "extra ==" not in requirement and dependency[0] not in found:
                wanted.append(dependency[0])
    return found


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel, install it into an empty environment, and return its folder of scripts."""
    folder = tmp_path_factory.mktemp("package")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python]
    subprocess.run(
        [*pip, "install", "--no-deps", "--no-index", wheel], check=True, capture_output=True
    )
    dependencies = folder / "dependencies"
    dependencies.mkdir()
    site_packages = Path(sysconfig.get_path("purelib"))
    for name in core_distributions():
        for file in distribution(name).files or []:
            top = file.parts[0]
            link = dependencies / top
            if top not in ("..", "__pycache__") and not link.exists():
                link.symlink_to(site_packages / top)
    (pure,) = environment.glob("lib/python*/site-packages")
    (pure / "dependencies.pth").write_text(f"{dependencies}\n")
    return environment / "bin"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return {**kept, "WMX_HOME": str(tmp_path / "store")}


def test_no_framework_is_there(installed: Path, environment: dict[str, str]) -> None:
    code = "import importlib.util as u, sys; sys.exit(any(map(u.find_spec, sys.argv[1:])))"
    names = ["torch", "tensorflow", "jax", "keras", "sklearn", "PIL"]
    subprocess.run(
        [installed / "python", "-c", code, *names], check=True, env=environment, cwd=installed
    )
    code = "import wmx, sys; assert 'site-packages' in wmx.__file__, wmx.__file__"
    subprocess.run([installed / "python", "-c", code], check=True, env=environment, cwd=installed)


def test_the_wheel_holds_code_and_types_and_nothing_else(installed: Path) -> None:
    (pure,) = (installed.parent).glob("lib/python*/site-packages")
    names = {entry.name for entry in pure.iterdir() if not entry.name.endswith(".dist-info")}
    adapters = {"wmx_torch", "wmx_keras", "wmx_flax", "_wmx_jax", "wmx_sklearn"}
    assert names - {"__pycache__"} == {"wmx", "dependencies.pth"} | adapters
    assert (pure / "wmx" / "py.typed").exists()
    assert all((pure / adapter / "py.typed").exists() for adapter in adapters)


def test_it_claims_and_verifies_without_a_framework(
    installed: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    def wmx(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [installed / "wmx", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    assert "verify" in wmx("--help").stdout
    assert wmx("keygen").returncode == 0
    made = wmx("claim", "new", "--shape", "8,8,1", "--classes", "10", "-o", "claim.json")
    assert made.returncode == 0, made.stderr
    watermark = Watermark.open(
        Claim.load(tmp_path / "claim.json"), OwnerKey.load(tmp_path / "store" / "owner.pem")
    )
    (tmp_path / "model.onnx").write_bytes(onnx_models.knows_labels(watermark))
    verified = wmx("verify", "model.onnx")
    assert verified.returncode == 0, verified.stderr
    assert verified.stdout.startswith("VERIFIED")
    assert verified.stderr == ""
    doctor = json.loads(wmx("doctor", "--json").stdout)
    assert doctor["versions"]["torch"] is None
    assert doctor["problems"] == []
    missing = wmx("embed", "--data", "digits", "-o", "out")
    assert missing.returncode == 4
    assert 'pip install -c constraints.txt ".[' in missing.stderr
    assert not (tmp_path / "out").exists()
