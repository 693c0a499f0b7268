"""How every route of the API is asked with all that is another merchant's, and what would be a trace of that one.

The routes come from the application itself. One that is missing in ROUTES fails the test: say there how to ask it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count, product
from typing import Any

import httpx
from flask import Flask

from tests.ingress.houses import House, make_nobodys_names


@dataclass(frozen=True)
class Route:
    """How a rule is asked: the kind of id in its gap, its bodies by method, and queries of GET.

    {payment}, {endpoint}, {notification}, {key}, {email}, {word}, {psp_id} and {cursor} are the other merchant's;
    {password} is the caller's own.
    """

    gap: str | None = None
    bodies: dict[str, Any] = field(default_factory=dict)
    queries: tuple[str, ...] = ("",)
    ends_session: bool = False

    def body_names(self, method: str, name: str) -> bool:
        return f"{{{name}}}" in str(self.bodies.get(method))

    def takes_ids(self, method: str) -> bool:
        return self.gap is not None or self.body_names(method, "endpoint") or self.body_names(method, "email")


VOUCHER = {"method": "oxxo", "amount_minor": 1, "psp": "conekta"}
SOUGHT = ("", "?limit=100", "?search={word}", "?search={psp_id}", "?cursor={cursor}", "?psp=stripe&limit=100")
TIMES = {"since": "2026-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}
PASSWORD = {"password": "{password}"}
ROUTES = {
    "/v1/payments": Route(None, {"POST": VOUCHER}, SOUGHT),
    "/v1/payments/<uuid:payment_id>": Route("payment"),
    "/v1/payments/<uuid:payment_id>/timeline": Route("payment"),
    "/v1/payments/<uuid:payment_id>/refunds": Route("payment", {"POST": {"amount_minor": 1}}),
    "/v1/payments/<uuid:payment_id>/cancel": Route("payment"),
    "/v1/balance-summary": Route(),
    "/v1/endpoints": Route(None, {"POST": {"url": "https://hooks.example.com/a"}}),
    "/v1/endpoints/<uuid:endpoint_id>": Route("endpoint", {"PATCH": {"description": "changed"}}),
    "/v1/endpoints/<uuid:endpoint_id>/rotate-secret": Route("endpoint", {"POST": {}}),
    "/v1/endpoints/<uuid:endpoint_id>/enable": Route("endpoint"),
    "/v1/endpoints/<uuid:endpoint_id>/test": Route("endpoint"),
    "/v1/endpoints/<uuid:endpoint_id>/deliveries": Route("endpoint", queries=("", "?limit=1", "?cursor={cursor}")),
    "/v1/endpoints/<uuid:endpoint_id>/replay": Route("endpoint", {"POST": TIMES | {"cursor": "{cursor}"}}),
    "/v1/notifications/<uuid:notification_id>": Route("notification"),
    "/v1/notifications/<uuid:notification_id>/replay": Route("notification", {"POST": {"endpoint_id": "{endpoint}"}}),
    "/v1/keys": Route(None, {"POST": {"name": "new", "scopes": ["read"]}}),
    "/v1/keys/<uuid:key_id>": Route("key"),
    "/v1/me": Route(),
    "/v1/me/totp": Route(None, {"POST": PASSWORD, "DELETE": PASSWORD}),
    "/v1/me/totp/confirm": Route(None, {"POST": {"totp": "123456"}}),
    "/v1/password": Route(None, {"POST": PASSWORD | {"new_password": "{password}"}}),
    "/v1/password-reset": Route(None, {"POST": {"token": "x" * 43, "new_password": "{password}"}}),
    "/v1/login": Route(None, {"POST": PASSWORD | {"email": "{email}"}}),
    "/v1/logout": Route(ends_session=True),
    "/v1/logout-everywhere": Route(ends_session=True),
}
# Nothing of any merchant: the document and its page, and what whoever runs Acuse looks at.
COMMON = {"/v1/openapi.json", "/v1/docs", "/v1/docs/<name>", "/", "/healthz", "/readyz", "/metrics"}
METHODS = ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE")  # OPTIONS is answered before any view
READS = ("GET", "HEAD")
# What owners are told who began neither a second factor nor a reset, and whose payment is paid.
OWN_REFUSALS = {"wrong-code", "no-second-factor", "reset-token-invalid", "not-possible"}
UNSTEADY = ("date", "ratelimit-remaining", "ratelimit-reset")  # differ between any two answers
ADDRESSES = count(1)
Headers = list[dict[str, str]]  # with each of which everything is asked


class Visitor:
    """A caller who asks rules of the API with the names of somebody."""

    def __init__(self, client: httpx.Client, password: str) -> None:
        self.client, self.own = client, {"password": password}

    def ask(
        self, rule: str, method: str, names: dict[str, str], gap: str | None, query: str = "", **headers: str
    ) -> httpx.Response:
        """`gap` stands in the path; everything else comes from `names`."""
        names = names | self.own
        head, _, rest = rule.partition("<")
        path = head + (gap or "") + rest.partition(">")[2] + query.format(**names)
        body = ROUTES[rule].bodies.get(method)
        sent = {} if body is None else {"json": _fill(body, names)}
        number = next(ADDRESSES)  # each from another address, or the limit of log-ins would answer
        headers["X-Forwarded-For"] = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        return self.client.request(method, path, headers=headers, **sent)


def _fill(body: Any, names: dict[str, str]) -> Any:
    if isinstance(body, dict):
        return {name: _fill(value, names) for name, value in body.items()}
    return body.format(**names) if isinstance(body, str) else body


@dataclass(frozen=True)
class Matrix:
    """I, the other, and the other's own user, who is let in where I am not."""

    mine: House
    other: House
    owner: Visitor
    tables: list[str]  # in which nothing of the other's may change

    def try_operation(self, me: Visitor, rule: str, method: str) -> int:
        """The owner asks, then I with what is the owner's: nothing of it shows, nothing of it changes. How many
        requests that took; AssertionError tells of any trace."""
        route, headers = ROUTES[rule], {"Idempotency-Key": f"{method} {rule}"} if method == "POST" else {}
        tags: Headers = []
        if method != "DELETE" and not route.ends_session:
            tags = self._watch_owner(rule, method, headers)
        if method == "GET" and route.gap is None:
            self._grow(me, rule)
        before = self.other.read_rows(self.tables)
        asked = sum(self._try(me, rule, method, query, [headers, *tags]) for query in _queries(route, method))
        assert self.other.read_rows(self.tables) == before, f"{method} {rule} changes what is the other's"
        if method == "DELETE":
            self._watch_owner(rule, method, headers)
        return asked

    def _grow(self, me: Visitor, rule: str) -> None:
        """Sums and numbers name nobody: they must not move while the other gets more."""
        first = me.ask(rule, "GET", self.other.names, None)
        self.other.grow()
        second = me.ask(rule, "GET", self.other.names, None)
        assert look_alike(first, second), f"{rule} tells that the other has more: {first.text} {second.text}"

    def _watch_owner(self, rule: str, method: str, headers: dict[str, str]) -> Headers:
        """So that the refusal of others says something. Gives the tag of what the owner has read."""
        route = ROUTES[rule]
        own = str(self.other.ids[route.gap]) if route.gap else None
        for query in _queries(route, method):
            answer = self.owner.ask(rule, method, self.other.names, own, query, **headers)
            about = f"{method} {rule}{query} is answered {answer.status_code} {answer.text} to its owner"
            assert answer.is_success or answer.json()["code"] in OWN_REFUSALS, about
            self.other.harvest(answer)
        return [{"If-None-Match": answer.headers["etag"]}] if own and "etag" in answer.headers else []

    def _try(self, me: Visitor, rule: str, method: str, query: str, headers: Headers) -> int:
        route, pairs = ROUTES[rule], self._pair(rule, method)
        nobody = make_nobodys_names() | {"cursor": self.other.names["cursor"]}
        for (gap, names), sent in product(pairs, headers):
            answer = me.ask(rule, method, names, gap, query, **sent)
            about = f"{method} {rule}{query} with {gap} is answered {answer.status_code} {answer.text} {answer.headers}"
            asked_for = str(answer.request.url) if query else ""
            said = [word for word in self.other.find_in(answer.text + str(answer.headers)) if word not in asked_for]
            assert not said, f"{about}, which has {said} of the other"
            assert answer.status_code < 500 and answer.status_code not in (405, 422, 429), about
            if route.takes_ids(method):
                is_mine = gap in map(str, self.mine.ids.values())
                stranger = me.ask(rule, method, nobody, gap if is_mine else nobody.get(route.gap or ""), query, **sent)
                assert look_alike(answer, stranger), (
                    f"{about}, and what is not there {stranger.text} {stranger.headers}"
                )
                assert answer.status_code in (404, 403) or rule == "/v1/login", about
        return len(pairs) * len(headers)

    def _pair(self, rule: str, method: str) -> list[tuple[str | None, dict[str, str]]]:
        """What stands in the path, and the names for the rest. Of the path's id and the body's, one is the other's."""
        route, names = ROUTES[rule], self.other.names
        if not route.gap:
            return [(None, names)]
        pairs: list[tuple[str | None, dict[str, str]]] = [(str(id), names) for id in self.other.ids.values()]
        if route.body_names(method, "endpoint"):
            own, my_endpoint = str(self.mine.ids[route.gap]), {"endpoint": str(self.mine.ids["endpoint"])}
            pairs += [(own, names | {"endpoint": str(id)}) for id in self.other.ids.values()]
            pairs += [(str(id), names | my_endpoint) for id in self.other.ids.values()]
        return pairs


def _queries(route: Route, method: str) -> tuple[str, ...]:
    return route.queries if method in READS else ("",)


def look_alike(one: httpx.Response, other: httpx.Response) -> bool:
    """Byte for byte, but for what differs between any two answers."""

    def steady(answer: httpx.Response) -> list[tuple[str, str]]:
        return sorted((name, value) for name, value in answer.headers.items() if name not in UNSTEADY)

    return (one.status_code, one.content, steady(one)) == (other.status_code, other.content, steady(other))


def find_rules(app: Flask) -> dict[str, set[str]]:
    """Every rule that may have to do with a merchant, and its methods. The operators' pages know no merchant's key at all
    (tests/console/test_access.py)."""
    found: dict[str, set[str]] = {}
    for rule in app.url_map.iter_rules():
        if rule.rule not in COMMON and not rule.rule.startswith("/console"):
            found.setdefault(rule.rule, set()).update((rule.methods or set()) - {"OPTIONS"})
    return found


def find_uncovered(app: Flask) -> Iterator[str]:
    """What is to be done before the matrix is whole."""
    for rule, methods in find_rules(app).items():
        if rule not in ROUTES:
            yield f"say in ROUTES of tests/ingress/matrix.py how to ask {rule}"
        for method in sorted(methods - set(METHODS)):
            yield f"add {method} of {rule} to METHODS of tests/ingress/matrix.py"


def order_operations(app: Flask) -> list[tuple[str, str]]:
    """Every rule with each of its methods; what deletes comes last."""
    operations = [(rule, method) for rule, methods in find_rules(app).items() for method in methods]
    return sorted(operations, key=lambda one: (one[1] == "DELETE", one[0], METHODS.index(one[1])))
