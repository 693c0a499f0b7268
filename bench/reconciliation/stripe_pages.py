"""A PSP's list of any length, computed page by page: `python -m bench.reconciliation.stripe_pages --payments 1000000 --start 1795000000`.

Payment `n` of N was made at start + n * 86400 / N, in Stripe's words of a card payment of 100.00 + n % 1000 centavos. It
stores nothing, so that what is measured is what reads it.
"""

import argparse
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

SECONDS = 86_400
FIRST_AMOUNT = 10_000
AMOUNTS = 1_000


def make_id(number: int) -> str:
    return f"pi_{number:016d}"


def find_amount(number: int) -> int:
    return FIRST_AMOUNT + number % AMOUNTS


class Pages(BaseHTTPRequestHandler):
    """GET /v1/payment_intents, newest first."""

    protocol_version = "HTTP/1.1"
    payments: int
    start: int

    def do_GET(self) -> None:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        first = self._find_first(int(asked["created[gte]"]))
        last = self._find_first(int(asked["created[lt]"])) - 1
        if "starting_after" in asked:
            last = min(last, int(asked["starting_after"][3:]) - 1)
        end = max(last - int(asked["limit"]), first - 1)
        data = [self._write(number) for number in range(last, end, -1)]
        body = json.dumps({"object": "list", "data": data, "has_more": end >= first}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _find_first(self, at: int) -> int:
        """The first payment that was made at this second or later."""
        return min(max(-(-(at - self.start) * self.payments // SECONDS), 0), self.payments)

    def _write(self, number: int) -> dict[str, object]:
        created = self.start + number * SECONDS // self.payments
        amount = find_amount(number)
        charge = {
            "id": f"ch_{number:016d}",
            "object": "charge",
            "amount": amount,
            "amount_refunded": 0,
            "created": created,
            "currency": "mxn",
            "disputed": False,
            "refunded": False,
            "status": "succeeded",
        }
        return {
            "id": make_id(number),
            "object": "payment_intent",
            "amount": amount,
            "amount_received": amount,
            "created": created,
            "currency": "mxn",
            "latest_charge": charge,
            "livemode": False,
            "metadata": {"order_id": f"ord-{number}"},
            "payment_method_types": ["card"],
            "status": "succeeded",
        }

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        pass


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.reconciliation.stripe_pages", description=__doc__)
    parser.add_argument("--payments", type=int, required=True)
    parser.add_argument("--start", type=int, required=True, help="unix seconds")
    arguments = parser.parse_args()
    Pages.payments, Pages.start = arguments.payments, arguments.start
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
