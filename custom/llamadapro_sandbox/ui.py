"""The page at `/`, which shows what is inside the sandbox: files of this package, and nothing from the network."""

from __future__ import annotations

from importlib.resources import files

from starlette.responses import Response

UI_PATHS = {
    "/": ("page.html", "text/html"),
    "/_sandbox/page": ("page.html", "text/html"),
    "/_sandbox/page.css": ("page.css", "text/css"),
    "/_sandbox/page.js": ("page.js", "text/javascript"),
    "/favicon.ico": ("icon.svg", "image/svg+xml"),
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src 'self'; media-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def asset(path: str) -> Response:
    name, media_type = UI_PATHS[path]
    content = files("llamadapro_sandbox").joinpath(name).read_bytes()
    return Response(content, headers=HEADERS, media_type=media_type)
