"""Answers whose money is wrong. The text of the JSON is changed in place, so that everything else stays as it was."""

import re
from decimal import Decimal

# amount, amount_received, transaction_amount, baseCurrencyAmount, amountPaid, total_paid_amount, ... and STP's monto.
# "total" is left alone: it counts rows at most PSPs.
AMOUNT = re.compile(
    rb'("(?:[a-z_]*amount(?:_[a-z]+)?|[a-z]\w*Amount|amountPaid|monto)"\s*:\s*"?)(-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)(?=["\s,}\]])'
)
CURRENCY = re.compile(
    rb'("(?:currency|currency_id|currencyCode|fiatCurrency|baseCurrencyCode|[a-z]+_currency)"\s*:\s*"'
    rb'|"baseCurrency"\s*:\s*\{[^{}]*?"code"\s*:\s*")([A-Za-z]{3})(?=")'
)


def change_amounts(body: bytes) -> bytes:
    """Every amount twice as high, written as before: 1500.5 -> 3001.0, "150.00" -> "300.00", 150050 -> 300100."""
    return AMOUNT.sub(lambda found: found[1] + _double(found[2]), body)


def change_currencies(body: bytes) -> bytes:
    """Dollars in place of pesos, and pesos in place of everything else. Codes of other than three letters stay."""
    return CURRENCY.sub(lambda found: found[1] + _swap(found[2]), body)


def _double(number: bytes) -> bytes:
    return str(Decimal(number.decode()) * 2).encode()


def _swap(code: bytes) -> bytes:
    other = b"USD" if code.upper() == b"MXN" else b"MXN"
    return other.lower() if code.islower() else other
