"""How many decimals a currency has, the same for every PSP."""

import pytest

from psps.currencies import find_exponent


@pytest.mark.parametrize(
    ("exponent", "currencies"),
    [
        (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"),
        (2, "MXN USD EUR BRL COP"),
        (3, "BHD IQD JOD KWD LYD OMR TND"),
    ],
)
def test_the_exponents_are_those_of_iso_4217(exponent: int, currencies: str) -> None:
    assert {find_exponent(currency) for currency in currencies.split()} == {exponent}
