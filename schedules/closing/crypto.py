"""The crypto side of a day's on-ramps: base units by asset, direction and state, exact whatever scale a PSP counts in."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from models.closings import DayLine

CryptoKey = tuple[str, str, str]  # asset, direction, state


@dataclass(slots=True)
class CryptoSums:
    """Of some payments of one asset: how many there are, of how many the amount was told, base units by their scale."""

    count: int = 0
    told: int = 0
    units: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, line: DayLine) -> None:
        """Count one payment in."""
        self.count += 1
        if line.crypto_base_units is not None and line.crypto_scale is not None:
            self.told += 1
            self.units[line.crypto_scale] += int(line.crypto_base_units)

    def sum_up(self) -> tuple[int, int] | None:
        """Base units and the scale that they are in, the finest that was told; None where nothing was told."""
        if not self.units:
            return None
        finest = max(self.units)
        return sum(units * 10 ** (finest - scale) for scale, units in self.units.items()), finest


def sum_crypto(sums: Mapping[CryptoKey, CryptoSums]) -> list[dict[str, str | int | None]]:
    """JSON values, ordered; `crypto_base_units` as text, None with `crypto_scale` where no amount was told."""
    return [_describe(key, sums[key]) for key in sorted(sums)]


def _describe(key: CryptoKey, sums: CryptoSums) -> dict[str, str | int | None]:
    known = sums.sum_up()
    return {
        "crypto_asset": key[0],
        "direction": key[1],
        "state": key[2],
        "count": sums.count,
        "told": sums.told,
        "crypto_base_units": str(known[0]) if known else None,
        "crypto_scale": known[1] if known else None,
    }
