"""`make package`: build the wheel and the sdist, install each in an empty environment, and run the quickstart there.

The sandbox that the quickstart talks to runs from the same installation; the document inside it must be the
repository's, and nothing named generated, custom or tests may be installed.
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
import llamadapro, llamadapro.errors, llamadapro.models, llamadapro.phone, llamadapro_api, llamadapro_sandbox
assert llamadapro.AsyncLlamadaPro and llamadapro.models.Contact
for package in (llamadapro, llamadapro_api, llamadapro_sandbox):
    folder = pathlib.Path(package.__file__).parent
    assert "site-packages" in folder.parts, folder
    assert (folder / "py.typed").exists(), folder
for name in ("generated", "custom", "tests"):
    assert importlib.util.find_spec(name) is None, name
document = pathlib.Path(llamadapro_sandbox.__file__).parent / "openapi.yaml"
print(hashlib.sha256(document.read_bytes()).hexdigest())
"""


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def try_out(distribution: Path, scratch: Path) -> None:
    """Install a distribution in an environment of its own, away from the repository, and use it."""
    venv.create(scratch / "venv", with_pip=True)
    python = scratch / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", f"llamadapro[sandbox] @ file://{distribution}", cwd=scratch)
    digest = run(python, "-c", CHECK, cwd=scratch).strip()
    if digest != hashlib.sha256((ROOT / "openapi.yaml").read_bytes()).hexdigest():
        raise SystemExit(f"the document inside {distribution.name} is not the repository's")
    toured = run(python, ROOT / "examples" / "quickstart.py", "--sandbox", cwd=scratch)
    if "Done." not in toured:
        raise SystemExit(f"the quickstart did not come to its end:\n{toured}")
    version = run(scratch / "venv" / "bin" / "llamadapro", "--version", cwd=scratch).strip()
    print(f"{distribution.name}: installed, imported, toured; `llamadapro --version` says {version!r}")


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        dist = Path(scratch) / "dist"
        run(sys.executable, "-m", "build", "--outdir", dist, ROOT, cwd=ROOT)
        for distribution in sorted(dist.iterdir()):
            place = Path(scratch) / distribution.suffix.strip(".")
            place.mkdir()
            try_out(distribution, place)
    return 0


if __name__ == "__main__":
    sys.exit(main())
