"""`make package`: build the wheel and the sdist, check what is in them, install each, and run the quickstart there.

The sdist must give, byte for byte, the wheel that the repository gives. Each is installed in an empty environment; the
sandbox that the quickstart talks to runs from the same installation. The document inside must be the repository's, and
nothing named generated, custom or tests may be installed.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]

CHECK = """
import hashlib, importlib.util, pathlib
import llamadapro, llamadapro.errors, llamadapro.models, llamadapro.phone
import llamadapro_api, llamadapro_contract, llamadapro_jobs, llamadapro_sandbox
assert llamadapro.AsyncLlamadaPro and llamadapro.models.Contact
for package in (llamadapro, llamadapro_api, llamadapro_jobs, llamadapro_sandbox, llamadapro_contract):
    folder = pathlib.Path(package.__file__).parent
    assert "site-packages" in folder.parts, folder
    assert (folder / "py.typed").exists(), folder
for name in ("generated", "custom", "tests"):
    assert importlib.util.find_spec(name) is None, name
for package in (llamadapro_sandbox, llamadapro_contract):
    document = pathlib.Path(package.__file__).parent / "openapi.yaml"
    print(hashlib.sha256(document.read_bytes()).hexdigest())
"""


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def build(scratch: Path) -> list[Path]:
    """The sdist and the wheel made from it, which must be the one that the repository gives."""
    run(sys.executable, "-m", "build", "--outdir", scratch / "dist", ROOT, cwd=ROOT)
    run(sys.executable, "-m", "build", "--wheel", "--outdir", scratch / "direct", ROOT, cwd=ROOT)
    for wheel in (scratch / "direct").iterdir():
        if wheel.read_bytes() != (scratch / "dist" / wheel.name).read_bytes():
            raise SystemExit(f"the sdist gives another {wheel.name} than the repository does")
    return sorted((scratch / "dist").iterdir())


def check(distributions: list[Path]) -> None:
    """Metadata as the package index wants it; the wheel holds every file of our packages, and nothing else."""
    tools = Path(sys.executable).parent
    run(tools / "twine", "check", "--strict", *distributions, cwd=ROOT)
    run(tools / "check-wheel-contents", *(one for one in distributions if one.suffix == ".whl"), cwd=ROOT)
    print("wheel and sdist: same contents, as they should be; metadata valid")


def try_out(distribution: Path, scratch: Path) -> None:
    """Install a distribution in an environment of its own, away from the repository, and use it."""
    venv.create(scratch / "venv", with_pip=True)
    python = scratch / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", f"llamadapro[sandbox] @ file://{distribution}", cwd=scratch)
    digests = run(python, "-c", CHECK, cwd=scratch).split()
    if {*digests} != {hashlib.sha256((ROOT / "openapi.yaml").read_bytes()).hexdigest()}:
        raise SystemExit(f"the document inside {distribution.name} is not the repository's")
    toured = run(python, ROOT / "examples" / "quickstart.py", "--sandbox", cwd=scratch)
    if "requests at the server: 1" not in toured:
        raise SystemExit(f"the quickstart did not come to its end:\n{toured}")
    version = run(scratch / "venv" / "bin" / "llamadapro", "--version", cwd=scratch).strip()
    print(f"{distribution.name}: installed, imported, toured; `llamadapro --version` says {version!r}")


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        distributions = build(Path(scratch))
        check(distributions)
        for distribution in distributions:
            place = Path(scratch) / distribution.suffix.strip(".")
            place.mkdir()
            try_out(distribution, place)
    return 0


if __name__ == "__main__":
    sys.exit(main())
