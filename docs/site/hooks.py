"""What the site adds to the pages: the HTTP reference, and the benchmarks once they exist."""

import runpy
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

VERSION = runpy.run_path(str(Path(__file__).parents[2] / "custom/llamadapro/_version.py"))["__version__"]
HTTP_REFERENCE = Path(__file__).parents[2] / "build" / "http.html"
# Redoc would load its logo from its vendor's server, which would see every visit: nothing is fetched from elsewhere.
HEAD = """<head>
<meta http-equiv="Content-Security-Policy" content="default-src 'self' 'unsafe-inline' data: blob:">
<style>a[href="https://redocly.com/redoc/"] p::after { content: " Redocly" }</style>"""


def on_config(config: MkDocsConfig) -> None:
    nav: Any = config.nav
    if Path(config.docs_dir, "benchmarks.md").exists():
        nav[-1]["About"].insert(0, "benchmarks.md")
    config.copyright = f"Version {VERSION}"


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Search lists the guide before the reference, which has every word many times."""
    if page.file.src_uri.startswith("guide/"):
        page.meta["search"] = {"boost": 4}
    return markdown


def on_files(files: Files, config: MkDocsConfig) -> None:
    page = HTTP_REFERENCE.read_text("utf-8").replace("<head>", HEAD, 1)
    files.append(File.generated(config, "http.html", content=page))
