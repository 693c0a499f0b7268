"""The address of MoonPay's widget, where the payer buys: its parameters, and the signature over them.

Source: dev.moonpay.com, URL signing and on-ramp widget parameters; @moonpay/moonpay-node 0.2.12.
"""

import base64
import hmac
from urllib.parse import quote, urlencode

from psps.currencies import find_exponent
from psps.moonpay.transactions import NETWORKS_OF_SUFFIXES
from psps.outbound import CreateRequest
from psps.writing import major_units

# UNVERIFIED: the addresses. That of test keys is what MoonPay's own package signs.
WIDGET_URL, TEST_WIDGET_URL = "https://buy.moonpay.com", "https://buy-sandbox.moonpay.com"
TEST_KEY = "pk_test_"
# The code of an asset on the network that it is at home on has no suffix: eth, btc, usdc; elsewhere usdc_polygon.
SUFFIXES = {"ethereum": "", "bitcoin": ""} | {network: suffix for suffix, network in NETWORKS_OF_SUFFIXES.items()}


def find_widget_url(publishable_key: str) -> str:
    """The usual address: a test key works at the test widget alone."""
    return TEST_WIDGET_URL if publishable_key.startswith(TEST_KEY) else WIDGET_URL


def sign_query(query: str, secret_key: str) -> str:
    """Base64 of HMAC-SHA256 over the query as it stands in the address, with its question mark."""
    return base64.b64encode(hmac.digest(secret_key.encode(), query.encode(), "sha256")).decode("ascii")


def write_signed_url(widget_url: str, query: str, secret_key: str) -> str:
    """The address with the query and, as its last parameter, the signature."""
    path = "" if "/" in widget_url.partition("://")[2] else "/"
    return f"{widget_url}{path}{query}&signature={quote(sign_query(query, secret_key), safe='')}"


def write_query(request: CreateRequest, asset: str, publishable_key: str) -> str:
    """What the widget is to sell. The same request gives the same address, so that asking again does no harm."""
    parameters = {
        "apiKey": publishable_key,
        "currencyCode": _write_currency_code(asset, request.crypto_network),
        "baseCurrencyCode": request.currency.lower(),
        "baseCurrencyAmount": _write_amount(request.amount_minor, request.currency),
        "walletAddress": request.wallet_address,
        "externalTransactionId": request.reference,
        # The payer must not change the amount: the payment would not fit what was asked for.
        "lockAmount": "true",
        "redirectURL": request.return_url,
    }
    known = {name: value for name, value in parameters.items() if value}
    return "?" + urlencode(known, quote_via=quote, safe="")


def _write_currency_code(asset: str, network: str | None) -> str:
    suffix = SUFFIXES.get(network, network) if network else ""
    return f"{asset}_{suffix}" if suffix and suffix != asset else asset


def _write_amount(amount_minor: int, currency: str) -> str:
    """150025 -> 1500.25, 150000 -> 1500: major units without idle zeros."""
    return format(major_units(amount_minor, find_exponent(currency)).normalize(), "f")
