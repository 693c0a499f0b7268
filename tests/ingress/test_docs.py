"""The OpenAPI document and its page: valid, complete, with examples that work, and nothing from elsewhere."""

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import jsonschema_rs
import pytest
from cryptography.fernet import Fernet
from flask import Flask
from schemathesis.specs.openapi.definitions import OPENAPI_31

import bootstrap_api
from config import Config
from ingress.api.docs import SPEC
from ingress.app import create_api
from tests.ingress.merchants import Market, serve_market

DRAFT = "https://json-schema.org/draft/2020-12/schema"
METHODS = ("get", "post", "put", "patch", "delete")
# The parser of the page's own addresses: attributes, CSS, and what a script is told to fetch.
LOADED = re.compile(
    r"""(?:src|href|action|url|@import)\s*[=:(]?\s*['"(]?\s*((?:https?:)?//[^'")\s>]+)""", re.IGNORECASE
)
Operation = tuple[str, str, dict[str, Any]]


@pytest.fixture(scope="module")
def app(make_config: Callable[..., Config]) -> Flask:
    return create_api(bootstrap_api.build_api(make_config()))


@pytest.fixture(scope="module")
def document(app: Flask) -> dict[str, Any]:
    return dict(json.loads(json.dumps(app.extensions[SPEC])))


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> list[Operation]:
    items = document["paths"].items()
    return [(method, path, item[method]) for path, item in items for method in METHODS if method in item]


@pytest.fixture(scope="module")
def market(make_config: Callable[..., Config]) -> Iterator[Market]:
    keys = {"ACUSE_CONEKTA_API_KEY": "key_4f1b0c9d7a", "ACUSE_SECRET_KEYS": Fernet.generate_key().decode()}
    with serve_market(make_config(**keys)) as serving:
        yield serving


def resolve(document: dict[str, Any], reference: str) -> Any:
    place: Any = document
    for name in reference.removeprefix("#/").split("/"):
        place = place[name]
    return place


def find_references(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        if isinstance(tree.get("$ref"), str):
            yield tree["$ref"]
        for branch in tree.values():
            yield from find_references(branch)
    elif isinstance(tree, list):
        for branch in tree:
            yield from find_references(branch)


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    faults = jsonschema_rs.Draft202012Validator(OPENAPI_31).iter_errors(document)
    assert [f"{list(fault.instance_path)}: {fault.message}" for fault in faults] == []
    for name, schema in document["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid({"$schema": DRAFT, **schema}), name


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    references = set(find_references(document))
    assert references
    assert all(isinstance(resolve(document, reference), dict) for reference in references)


def test_every_route_is_in_the_document(app: Flask, operations: list[Operation]) -> None:
    apart = {"/v1/openapi.json", "/v1/docs", "/v1/docs/{name}"}
    served = set()
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:[^:>]+:)?([^>]+)>", r"{\1}", rule.rule)
        if path.startswith("/v1") and path not in apart:
            served |= {(method.lower(), path) for method in rule.methods or ()} - {("head", path), ("options", path)}
    assert {(method, path) for method, path, _ in operations} == served


def test_every_operation_says_what_it_does(operations: list[Operation]) -> None:
    for method, path, operation in operations:
        said = operation["description"].partition("```")[0].strip()
        assert 4 <= len(operation["summary"]) <= 60 and not operation["summary"].endswith("."), (method, path)
        assert len(said) > 25 and said.endswith("."), (method, path)
        assert operation["tags"]


def test_every_operation_has_both_examples(operations: list[Operation]) -> None:
    for _, path, operation in operations:
        samples = {one["lang"]: one["source"] for one in operation["x-codeSamples"]}
        assert list(samples) == ["bash", "python"]
        assert all(f"```{language}\n{source}\n```" in operation["description"] for language, source in samples.items())
        assert path.partition("{")[0] in samples["bash"] and path.partition("{")[0] in samples["python"]
        assert "{" not in shlex.split(samples["bash"].replace("\\\n", " "))[1], "an id stands where the path wants one"


def test_examples_send_what_the_operation_takes(document: dict[str, Any], operations: list[Operation]) -> None:
    for method, path, operation in operations:
        words = read_curl(operation)
        headers = dict(re.split(": ", words[place + 1], maxsplit=1) for place, word in enumerate(words) if word == "-H")
        takes_key = any(one.get("name") == "Idempotency-Key" for one in operation.get("parameters", ()))
        assert ("Idempotency-Key" in headers) == takes_key, (method, path)
        assert ("Authorization" in headers) == ("security" in operation), (method, path)
        assert ("-d" in words) == ("requestBody" in operation), (method, path)
        if "-d" in words:
            content = operation["requestBody"]["content"]["application/json"]
            body = json.loads(words[words.index("-d") + 1])
            assert body == content["example"]
            assert list(validator(document, content["schema"]).iter_errors(body)) == [], (method, path)


def test_every_post_of_a_key_takes_an_idempotency_key(operations: list[Operation]) -> None:
    keyed = [
        operation for method, _, operation in operations if method == "post" and "ACUSE_MERCHANT_KEY" in str(operation)
    ]
    assert len(keyed) > 5
    assert all("Idempotency-Key: " in operation["x-codeSamples"][0]["source"] for operation in keyed)


def test_python_examples_send_the_same(operations: list[Operation]) -> None:
    for method, path, operation in operations:
        source = operation["x-codeSamples"][1]["source"]
        calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
        keywords = {keyword.arg: keyword.value for call in calls for keyword in call.keywords}
        words = read_curl(operation)
        assert ("json" in keywords) == ("-d" in words), (method, path)
        if "json" in keywords:
            assert ast.literal_eval(keywords["json"]) == json.loads(words[words.index("-d") + 1])


def test_problems_have_examples_that_fit(document: dict[str, Any], operations: list[Operation]) -> None:
    for _, _, operation in operations:
        for status, answer in operation["responses"].items():
            content = answer.get("content", {}).get("application/problem+json")
            if content:
                assert content["example"]["status"] == int(status)
                assert list(validator(document, content["schema"]).iter_errors(content["example"])) == []


def read_curl(operation: dict[str, Any]) -> list[str]:
    return shlex.split(operation["x-codeSamples"][0]["source"].replace("\\\n", " "))


def validator(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    return jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]})


WORKING = [
    "get /v1/payments",
    "post /v1/payments",
    "get /v1/balance-summary",
    "post /v1/endpoints",
    "get /v1/endpoints",
]


@pytest.mark.parametrize("which", WORKING)
@pytest.mark.parametrize("language", ["bash", "python"])
def test_examples_work_as_they_stand(market: Market, operations: list[Operation], which: str, language: str) -> None:
    if language == "bash" and not shutil.which("curl"):
        pytest.skip("curl is not installed")
    method, path = which.split()
    [operation] = [one for *place, one in operations if place == [method, path]]
    source = next(one["source"] for one in operation["x-codeSamples"] if one["lang"] == language)
    shop = market.open_shop()
    known = {"ACUSE_API_URL": market.base_url, "ACUSE_MERCHANT_KEY": shop.key, "NO_PROXY": "127.0.0.1"}
    program = ["bash", "-c", source] if language == "bash" else [sys.executable, "-c", source]
    done = subprocess.run(program, env=os.environ | known, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout) if language == "bash" else ast.literal_eval(done.stdout)
    assert "code" not in answer, answer


@pytest.mark.parametrize("path", ["/v1/docs", "/v1/docs/start.js", "/v1/docs/acuse.css", "/v1/docs/swagger-ui.css"])
def test_nothing_is_loaded_from_elsewhere(market: Market, path: str) -> None:
    answer = httpx.get(market.base_url + path, trust_env=False)
    assert answer.status_code == 200
    assert LOADED.findall(answer.text) == []


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://cdn.example/a.js">',
        "<link rel=stylesheet href=//cdn.example/a.css>",
        "@import 'http://cdn.example/a.css'",
        "background: url(https://cdn.example/a.png)",
        'url: "https://api.example/openapi.json"',
    ],
)
def test_what_is_loaded_from_elsewhere_would_be_seen(text: str) -> None:
    assert len(LOADED.findall(text)) == 1


def test_the_page_and_its_assets_are_ours(market: Market) -> None:
    page = httpx.get(f"{market.base_url}/v1/docs", trust_env=False)
    policy = dict(part.strip().split(" ", 1) for part in page.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert all("http" not in sources and "*" not in sources for sources in policy.values())
    assert "unsafe" not in policy["script-src"]
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(assets) == 5
    for asset in assets:
        answer = httpx.get(f"{market.base_url}/v1/{asset}", trust_env=False)
        assert (answer.status_code, answer.headers["X-Content-Type-Options"]) == (200, "nosniff")
        assert answer.headers["Content-Type"].split(";")[0] in ("text/css", "text/javascript", "image/png")
    assert httpx.get(f"{market.base_url}/v1/docs/LICENSE", trust_env=False).status_code == 404
    assert httpx.get(f"{market.base_url}/v1/docs/..%2fdocs.py", trust_env=False).status_code == 404
