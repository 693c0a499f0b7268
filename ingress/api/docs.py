"""/v1/openapi.json, and /v1/docs: a page that needs nothing but us, so that it works without the internet."""

import importlib.util
from pathlib import Path

import orjson
from flask import Blueprint, Response, current_app, send_from_directory

from ingress.api.callers import needs
from ingress.api.problems import Problem

SPEC = "acuse-openapi"
OWN_FOLDER = Path(__file__).with_name("page")
OWN_ASSETS = ("acuse.css", "start.js")
ASSETS = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")
# Nothing is loaded from elsewhere, and the page speaks to nobody but us.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'"
)

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Acuse merchant API</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="stylesheet" href="docs/acuse.css">
<link rel="icon" href="docs/favicon-32x32.png">
</head>
<body>
<div id="api"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
blueprint = Blueprint("docs", __name__, url_prefix="/v1")


@blueprint.get("/openapi.json")
@needs("nobody")
def show_spec() -> Response:
    """The OpenAPI document."""
    return Response(orjson.dumps(current_app.extensions[SPEC]), content_type="application/json")


@blueprint.get("/docs")
@needs("nobody")
def show_page() -> Response:
    """The page for people."""
    return Response(PAGE, content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": POLICY})


@blueprint.get("/docs/<name>")
@needs("nobody")
def show_asset(name: str) -> Response:
    """What the page is made of."""
    if name in OWN_ASSETS:
        return send_from_directory(OWN_FOLDER, name)
    if name not in ASSETS:
        raise Problem(404, "not-found", "there is nothing at this address")
    return send_from_directory(_folder(), name)


def _folder() -> Path:
    found = importlib.util.find_spec("flask_swagger_ui")
    assert found is not None and found.origin is not None
    return Path(found.origin).parent / "dist"
