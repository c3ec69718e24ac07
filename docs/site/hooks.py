"""What the site adds to the pages: the HTTP reference, and the benchmarks once they exist."""

from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

HTTP_REFERENCE = Path(__file__).parents[2] / "build" / "http.html"
# Redoc would load its logo from its vendor's server, which would see every visit: nothing is fetched from elsewhere.
HEAD = """<head>
<meta http-equiv="Content-Security-Policy" content="default-src 'self' 'unsafe-inline' data: blob:">
<style>a[href="https://redocly.com/redoc/"] p::after { content: " Redocly" }</style>"""


def on_config(config: MkDocsConfig) -> None:
    nav: Any = config.nav
    if Path(config.docs_dir, "benchmarks.md").exists():
        nav[-1]["About"].insert(0, "benchmarks.md")


def on_files(files: Files, config: MkDocsConfig) -> None:
    page = HTTP_REFERENCE.read_text("utf-8").replace("<head>", HEAD, 1)
    files.append(File.generated(config, "http.html", content=page))
