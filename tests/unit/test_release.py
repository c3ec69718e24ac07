"""`make release-check` says what is missing: each case breaks one thing in a changelog or a repository that is fit."""

from __future__ import annotations

import subprocess
from datetime import date
from pathlib import Path

import pytest

from tests.tools.release import changelog_complaints, git_complaints

TODAY = date(2026, 11, 23)
FIT = """# Changelog

## Unreleased

## 0.2.0 - 2026-11-23

### Added

- A thing.

## 0.1.0 - 2026-10-01

- The first.
"""


@pytest.mark.parametrize("changelog", [FIT, FIT.replace("## Unreleased\n", "")], ids=["empty Unreleased", "none"])
def test_a_dated_section_at_the_top_is_fit(changelog: str) -> None:
    assert [*changelog_complaints(changelog, "0.2.0", TODAY)] == []


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("## Unreleased", "## Unreleased\n\n- Forgotten.", "'Unreleased' has entries"),
        ("0.2.0 - 2026-11-23", "0.3.0 - 2026-11-23", "newest release is 0.3.0, _version.py says 0.2.0"),
        ("0.2.0 - 2026-11-23", "0.2.0", "needs its date: '## 0.2.0 - 2026-11-23'"),
        ("0.2.0 - 2026-11-23", "0.2.0 - November", "needs its date"),
        ("2026-11-23", "2026-11-24", "dated in the future, 2026-11-24"),
        ("### Added\n\n- A thing.\n", "", "'0.2.0 - 2026-11-23' is empty"),
        (FIT, "# Changelog\n\n## Unreleased\n", "newest release is missing"),
    ],
)
def test_what_a_changelog_lacks_is_said(old: str, new: str, complaint: str) -> None:
    [said] = changelog_complaints(FIT.replace(old, new), "0.2.0", TODAY)
    assert complaint in said


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    commit(tmp_path, "first")
    return tmp_path


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=root, check=True)


def commit(root: Path, name: str) -> None:
    (root / name).touch()
    git(root, "add", name)
    git(root, "-c", "user.name=x", "-c", "user.email=x@localhost", "commit", "--quiet", "--message", name)


def test_a_tag_is_free_or_stands_here(repository: Path) -> None:
    assert [*git_complaints("0.2.0", repository)] == []
    git(repository, "tag", "v0.2.0")
    assert [*git_complaints("0.2.0", repository)] == []
    commit(repository, "second")
    assert [*git_complaints("0.2.0", repository)] == ["git: v0.2.0 is the tag of another commit: raise the version"]


def test_everything_is_committed(repository: Path) -> None:
    (repository / "forgotten").touch()
    assert [*git_complaints("0.2.0", repository)] == ["git: there are changes that are not committed"]
