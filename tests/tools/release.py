"""`make release-check`: is what is committed here fit to be tagged and published as the version it names?

`make package` has looked at the distributions before; this looks at the version, the changelog and git.
"""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TITLE = re.compile(r"^## (?P<title>.*)$", re.MULTILINE)


def sections(changelog: str) -> dict[str, str]:
    """What stands below each second-level heading, in the order of the file."""
    parts = TITLE.split(changelog)[1:]
    return dict(zip(parts[::2], (text.strip() for text in parts[1::2]), strict=True))


def changelog_complaints(changelog: str, version: str, today: date) -> Iterator[str]:
    """A release has a section of its own, dated and not empty, above all older ones; nothing is left unreleased."""
    found = sections(changelog)
    if found.pop("Unreleased", ""):
        yield f"CHANGELOG.md: 'Unreleased' has entries: move them below '## {version} - {today}'"
    title = next(iter(found), "")
    released, _, day = title.partition(" - ")
    if released != version:
        yield f"CHANGELOG.md: the newest release is {released or 'missing'}, _version.py says {version}"
        return
    if not found[title]:
        yield f"CHANGELOG.md: '{title}' is empty"
    try:
        if date.fromisoformat(day) > today:
            yield f"CHANGELOG.md: {version} is dated in the future, {day}"
    except ValueError:
        yield f"CHANGELOG.md: {version} needs its date: '## {version} - {today}'"


def git_complaints(version: str, root: Path) -> Iterator[str]:
    """Everything is committed, and the tag is free or already stands here."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False).stdout.strip()

    if git("status", "--porcelain"):
        yield "git: there are changes that are not committed"
    tagged = git("rev-parse", "--verify", "--quiet", f"v{version}^{{commit}}")
    if tagged and tagged != git("rev-parse", "HEAD"):
        yield f"git: v{version} is the tag of another commit: raise the version"


def main() -> int:
    version = runpy.run_path(str(ROOT / "custom/llamadapro/_version.py"))["__version__"]
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    complaints = [*changelog_complaints(changelog, version, datetime.now(UTC).date()), *git_complaints(version, ROOT)]
    print("\n".join(complaints) or f"fit for release: git tag v{version}")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
