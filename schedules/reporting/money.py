"""Amounts as people write them, exactly: whole numbers all the way."""

from psps.currencies import find_exponent

NO_CURRENCY = "no currency"
NOTHING = "\N{EN DASH}"  # for what is not known


def write_decimal(minor: int | None, currency: str | None, group: str = "") -> str:
    """1234.50 for 123450 centavos, with `group` between thousands; empty for None. Without a currency, minor units."""
    if minor is None:
        return ""
    exponent = find_exponent(currency) if currency else 0
    whole, rest = divmod(abs(minor), 10**exponent)
    sign = "-" if minor < 0 else ""
    return f"{sign}{whole:,}".replace(",", group) + (f".{rest:0{exponent}}" if exponent else "")


def write_units(base_units: str | None, scale: int | None, group: str = "") -> str:
    """1.5 for 1500000 base units at scale 6, exactly and without the zeros at its end; empty where it is not known."""
    if base_units is None or scale is None:
        return ""
    units = int(base_units)
    whole, rest = divmod(abs(units), 10**scale)
    rest_text = f"{rest:0{scale}}".rstrip("0") if scale else ""
    return ("-" if units < 0 else "") + f"{whole:,}".replace(",", group) + (f".{rest_text}" if rest_text else "")


def write_grouped(minor: int, currency: str | None) -> str:
    """1,234.50 for people, with a real minus sign."""
    return write_decimal(minor, currency, ",").replace("-", "\N{MINUS SIGN}")


def write_money(minor: int | None, currency: str | None) -> str:
    """1,234.50 MXN; a dash for None."""
    if minor is None:
        return NOTHING
    return f"{write_grouped(minor, currency)} {currency or f'minor units, {NO_CURRENCY}'}"
