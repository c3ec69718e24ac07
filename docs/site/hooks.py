"""What the site holds beside the pages: the HTTP reference, and the benchmarks once they have been written."""

from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

HTTP_REFERENCE = Path(__file__).parents[2] / "build" / "http.html"


def on_config(config: MkDocsConfig) -> None:
    nav: Any = config.nav
    if Path(config.docs_dir, "benchmarks.md").exists():
        nav[-1]["About"].insert(0, "benchmarks.md")


def on_files(files: Files, config: MkDocsConfig) -> None:
    files.append(File.generated(config, "http.html", abs_src_path=str(HTTP_REFERENCE)))
