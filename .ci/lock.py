"""Write the lock files: the exact packages that continuous integration installs, with hashes.

For each set pip says what it would install here under the set's constraints, and uv lists the
hashes of all files of those versions at the package index.  A file that pip would take from
elsewhere, such as a build of PyTorch for CPUs on this machine's disk, is listed with its own hash
alone; its name is printed, for whoever commits the lock to judge.

    python3.11 .ci/lock.py            all of them
    python3.11 .ci/lock.py NAME...    these, such as docs/requirements.lock
"""

import json
import platform
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLATFORM = "x86_64-manylinux_2_36"  # the hashes of all others are listed too
SETS = {  # lock file: what is installed, and under which constraints
    "requirements.lock": ((".[all,browser,dev]",), "constraints.txt"),
    "docs/requirements.lock": ((".[docs]",), "constraints.txt"),
    "tests/mlserver/requirements.lock": (
        ("mlserver", "onnxruntime"),
        "tests/mlserver/constraints.txt",
    ),
    "tests/shipped.lock": (("--no-deps", "-r", "tests/shipped.txt"), None),
}
HEADER = """\
# What continuous integration installs on Linux, x86-64, Python 3.11, and from which files:
#   pip install --require-hashes --no-deps -r {name}
# Written by .ci/lock.py.
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder / "tools", with_pip=True)
        tools = folder / "tools" / "bin"
        subprocess.run([tools / "python", "-m", "pip", "install", "--quiet", "uv"], check=True)
        for lock in sys.argv[1:] or SETS:
            words, constraints = SETS[lock]
            write(ROOT / lock, chosen(tools, folder, words, constraints), tools, folder)


def chosen(
    tools: Path, folder: Path, words: tuple[str, ...], constraints: str | None
) -> dict[str, tuple[str, str, str]]:
    """Return version, file and hash of each package that pip would install, by name."""
    report = folder / "report.json"
    pip = [tools / "python", "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
    limits = [] if constraints is None else ["-c", constraints]
    subprocess.run([*pip, "--report", report, *limits, *words], check=True, cwd=ROOT)
    found = {}
    for item in json.loads(report.read_text())["install"]:
        archive = item["download_info"].get("archive_info")
        if archive is not None:  # wmx itself is a folder
            name = re.sub(r"[-_.]+", "-", item["metadata"]["name"]).lower()
            file = item["download_info"]["url"].rpartition("/")[2]
            found[name] = (item["metadata"]["version"], file, archive["hashes"]["sha256"])
    return found


def write(lock: Path, packages: dict[str, tuple[str, str, str]], tools: Path, folder: Path) -> None:
    pins = "".join(
        f"{name}=={version.partition('+')[0]}\n" for name, (version, _, _) in packages.items()
    )
    (folder / "pins.in").write_text(pins)
    uv = [tools / "uv", "pip", "compile", "--no-deps", "--generate-hashes", "--quiet"]
    form = ["--no-header", "--no-annotate", "--python-version", platform.python_version()]
    output = ["--python-platform", PLATFORM, folder / "pins.in", "-o", folder / "pins.lock"]
    subprocess.run([*uv, *form, *output], check=True, stdout=subprocess.DEVNULL)
    lines = [HEADER.format(name=lock.relative_to(ROOT))]
    for entry in re.split(r"\n(?=\S)", (folder / "pins.lock").read_text().strip()):
        name = re.match(r"[^=]+", entry)[0]
        version, file, digest = packages[name]
        if digest in entry:
            lines.append(f"{entry}\n")
        else:  # alone: pip prefers a file at the index whose hash is listed to any other
            print(f"{lock.name}: {file} is not at the index", file=sys.stderr)
            pin = f"{name}=={version.partition('+')[0]}"
            lines.append(f"{pin} \\\n    --hash=sha256:{digest}\n")
    lock.write_text("".join(lines))


if __name__ == "__main__":
    main()
