"""How many decimals a currency has: the exponents of ISO 4217."""

USUAL = 2
_CURRENCIES = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
}
EXPONENTS = {currency: exponent for exponent, listed in _CURRENCIES.items() for currency in listed.split()}


def find_exponent(currency: str) -> int:
    """Decimals of the minor unit of an ISO 4217 code in upper case: 2 for MXN, 0 for JPY, 3 for KWD."""
    return EXPONENTS.get(currency, USUAL)
