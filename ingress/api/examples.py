"""How every operation is called, in curl and in Python: made from the OpenAPI document and written into it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from textwrap import indent
from typing import Any

from ingress.api.callers import Need
from ingress.api.problems import CODES, PROBLEM_JSON

ID = "01930c7e-4a52-7d11-9f0a-2b1d5a6e8f40"
# What stands in an example where the schema has none. Optional members without any of the two are left out.
MEMBERS: dict[str, Any] = {
    "amount_minor": 5000,
    "email": "ana@example.com",
    "endpoint_id": ID,
    "event_types": ["payment.completed", "payment.refunded"],
    "new_password": "three other long words",  # nosec B105 # an example in the documentation
    "password": "some four long words",  # nosec B105 # likewise
    "payer": {"name": "Ana Ruiz", "email": "ana@example.com", "reference": "customer 7"},
    "scopes": ["read", "write"],
    "token": "rt_...",  # nosec B105 # likewise
}
QUERY = {"state": "completed", "status": "failed", "limit": "20", "first_day": "2026-11-01", "last_day": "2026-11-30"}
PROBLEM_CODES = {400: "malformed-json", 409: "not-possible", 503: "unavailable"}
LEFT_OUT = ("totp", "cursor")
ONE_LINE = 60
BASH, PYTHON = ("bash", "curl"), ("python", "Python")


@dataclass(frozen=True, slots=True)
class Example:
    """One request. `variable` names the environment variable with the key or token, where one is sent."""

    method: str
    target: str
    variable: str | None
    idempotency_key: str | None
    body: Any
    has_answer: bool


def add_examples(paths: Mapping[str, Any], schemas: Mapping[str, Any], needs: Mapping[str, Need | None]) -> None:
    """Append both examples to the description of every operation, and give them as `x-codeSamples` too."""
    for path, item in paths.items():
        for method, operation in item.items():
            if isinstance(operation, dict) and "responses" in operation:
                _add(operation, _find_example(path, method, operation, schemas, needs[path]))


def _add(operation: dict[str, Any], example: Example) -> None:
    written = [(*BASH, write_curl(example)), (*PYTHON, write_python(example))]
    fences = [f"```{language}\n{source}\n```" for language, _, source in written]
    operation["description"] = "\n\n".join(filter(None, [operation.get("description"), *fences]))
    operation["x-codeSamples"] = [
        {"lang": language, "label": label, "source": source} for language, label, source in written
    ]
    if example.body is not None:
        operation["requestBody"]["content"]["application/json"]["example"] = example.body
    for status, response in operation["responses"].items():
        if PROBLEM_JSON in response.get("content", {}):
            response["content"][PROBLEM_JSON]["example"] = _write_problem(int(status), response["description"])


def _write_problem(status: int, description: str) -> dict[str, Any]:
    code = PROBLEM_CODES.get(status) or CODES[status]
    title = HTTPStatus(status).phrase
    return {"type": f"urn:acuse:problem:{code}", "title": title, "status": status, "code": code, "detail": description}


def _find_example(
    path: str, method: str, operation: Mapping[str, Any], schemas: Mapping[str, Any], need: Need | None
) -> Example:
    parameters = operation.get("parameters", [])
    query = "&".join(f"{one['name']}={value}" for one in parameters if (value := _find_query(one)) is not None)
    takes_key = any(one.get("name") == "Idempotency-Key" for one in parameters)
    variables = {"nobody": None, "user": "ACUSE_TOKEN"}
    return Example(
        method=method.upper(),
        target="/".join(ID if part.startswith("{") else part for part in path.split("/"))
        + (f"?{query}" if query else ""),
        variable=variables.get(need or "nobody", "ACUSE_MERCHANT_KEY"),
        idempotency_key=f"{path.rpartition('/')[2]}-1" if takes_key else None,
        body=_find_body(operation, schemas),
        has_answer="204" not in operation["responses"],
    )


def _find_query(parameter: Mapping[str, Any]) -> str | None:
    value = QUERY.get(parameter["name"]) if parameter["in"] == "query" else None
    allowed = parameter.get("schema", {}).get("enum")
    return value if allowed is None or value in allowed else None


def _find_body(operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    return None if content is None else find_sample("", content["schema"], schemas)


def find_sample(name: str, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """A value that fits: the schema's own example, what its name says, its default, or the least there is."""
    if "$ref" in schema and name not in MEMBERS:
        return find_sample(name, schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "properties" in schema:
        return dict(_find_members(schema, schemas))
    given = schema.get("example", MEMBERS.get(name, schema.get("default")))
    if given is None and "enum" in schema:
        return schema["enum"][0]
    return given if given is not None else schema.get("minimum", name)


def _find_members(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, member in schema["properties"].items():
        is_known = name in MEMBERS or bool(member.keys() & {"example", "default"})
        if name in schema.get("required", []) or (is_known and name not in LEFT_OUT):
            yield name, find_sample(name, member, schemas)


def write_curl(example: Example) -> str:
    """A command for a shell that has read `acuse env`."""
    is_post_anyway = example.method == "POST" and example.body is not None
    ways = "" if is_post_anyway or example.method == "GET" else f"-X {example.method} "
    parts = [f'curl {ways}"$ACUSE_API_URL{example.target}"']
    if example.variable:
        parts.append(f'-H "Authorization: Bearer ${example.variable}"')
    if example.idempotency_key:
        parts.append(f"-H 'Idempotency-Key: {example.idempotency_key}'")
    if example.body is not None:
        parts += ["-H 'Content-Type: application/json'", f"-d '{_write_json(example.body, 2)}'"]
    return " \\\n  ".join(parts)


def write_python(example: Example) -> str:
    """A whole program, with httpx."""
    headers = []
    if example.variable:
        headers.append(f'"Authorization": "Bearer " + os.environ["{example.variable}"]')
    if example.idempotency_key:
        headers.append(f'"Idempotency-Key": "{example.idempotency_key}"')
    arguments = [f'os.environ["ACUSE_API_URL"] + "{example.target}"']
    if headers:
        arguments.append("headers={\n" + "".join(f"    {header},\n" for header in headers) + "}")
    if example.body is not None:
        arguments.append(f"json={_write_json(example.body, 4)}")
    call = "".join(f"{indent(argument, '    ')},\n" for argument in arguments)
    ending = "answer.raise_for_status()" + ("\nprint(answer.json())" if example.has_answer else "")
    return f"import os\n\nimport httpx\n\nanswer = {_find_function(example)}\n{call})\n{ending}"


def _find_function(example: Example) -> str:
    """httpx.delete takes no body."""
    if example.method == "DELETE" and example.body is not None:
        return 'httpx.request(\n    "DELETE",'
    return f"httpx.{example.method.lower()}("


def _write_json(value: Any, spaces: int) -> str:
    """On one line where it is short. What is in examples reads the same in Python."""
    short = json.dumps(value)
    return short if len(short) <= ONE_LINE else json.dumps(value, indent=spaces)
