"""Importing a report: all of it or nothing, every line once. A line is a fact: what is known is never written anew."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import BinaryIO

from models.settlement_reading import DifferingPayment
from models.settlements import Gap, KnownLine, NewLine, SettlementRepository, find_gap, is_same
from models.states import LineKind
from schedules.settlements.copying import BadReport, Copied, Limits, copy_report
from schedules.settlements.lines import read_line
from schedules.settlements.mapping import ReportMapping
from schedules.settlements.read import read_rows

BATCH = 500
MOST_SHOWN = 100
OF_PAYMENTS = frozenset({LineKind.PAYMENT, LineKind.REFUND, LineKind.DISPUTE})  # what should lead to a payment
OnRow = Callable[[int, int], None]  # bytes read, and bytes of the file


@dataclass(frozen=True, slots=True)
class ChangedLine:
    """A line that says something else than the stored one of its key, which stays. Amounts in minor units."""

    line: int
    line_key: str
    was_amount_minor: int
    was_fee_minor: int
    amount_minor: int
    fee_minor: int


@dataclass(slots=True)
class Imported:
    """What became of a report. `lines` = `new` + `known` + `changed`; `skipped` rows are no lines. (In a file
    that was imported before, by another mapping, lines may be none of these.)"""

    file_id: int
    before: datetime | None = (
        None  # when these very bytes were imported: then they were only compared, and nothing stored
    )
    lines: int = 0
    skipped: int = 0
    new: int = 0
    known: int = 0
    filled: int = 0  # of the known ones, those that learned when or with which payout the money came
    changed: int = 0
    matched: int = 0
    unmatched: int = 0  # new lines of payments, refunds and disputes that lead to no payment of ours
    changed_lines: list[ChangedLine] = field(default_factory=list)  # the first 100
    differs: list[DifferingPayment] = field(default_factory=list)  # the first 100


@dataclass(frozen=True, slots=True)
class Target:
    """Whose report it is, what it is called and how it is read."""

    account: str
    name: str
    mapping: ReportMapping

    @property
    def psp(self) -> str:
        """The PSP of the mapping."""
        return self.mapping.psp


Numbered = tuple[int, NewLine]  # the line of the file, and what it says


def import_file(
    settlements: SettlementRepository,
    target: Target,
    source: BinaryIO,
    now: datetime,
    on_row: OnRow = lambda done, size: None,
    limits: Limits | None = None,
) -> Imported:
    """Read a report, store its lines and find their payments, in the caller's transaction: whoever calls commits.

    Raises BadReport for the first row that cannot be read. Then the transaction is to be rolled back, so that nothing of
    the file is stored.
    """
    limits = limits or Limits()
    with copy_report(source, limits) as report:
        settlements.hold(target.psp, target.account)
        if stored := settlements.find_file(target.psp, target.account, report.sha256):
            importer = _Importer(settlements, target, Imported(stored.id, before=stored.imported_at))
        else:
            file_id = settlements.add_file(target.psp, target.account, target.name, report.sha256, now)
            importer = _Importer(settlements, target, Imported(file_id))
        importer.take_all(_read_lines(report, target.mapping, limits, importer.result, on_row))
        on_row(report.size, report.size)
    return importer.finish()


def _read_lines(
    report: Copied, mapping: ReportMapping, limits: Limits, result: Imported, on_row: OnRow
) -> Iterator[Numbered]:
    seen: Counter[str] = Counter()  # made-up keys of the whole file
    for row in read_rows(report, mapping, limits):
        line = read_line(row, mapping)
        if line is None:
            result.skipped += 1
        else:
            result.lines += 1
            yield row.line, _number(line, seen) if mapping.key_is_made_up else line
        if not (result.lines + result.skipped) % BATCH:
            on_row(report.file.tell(), report.size)


def _number(line: NewLine, seen: Counter[str]) -> NewLine:
    seen[line.line_key] += 1
    number = seen[line.line_key]
    return line if number == 1 else replace(line, line_key=f"{line.line_key}#{number}")


class _Importer:
    """One file on its way into the tables, batch by batch; one that is there already is only compared with them."""

    def __init__(self, settlements: SettlementRepository, target: Target, result: Imported) -> None:
        self.settlements, self.target, self.result = settlements, target, result
        self.first_line: int | None = None

    def take_all(self, lines: Iterator[Numbered]) -> None:
        while batch := list(islice(lines, BATCH)):
            self._work_on(self._drop_repeated(batch))

    def finish(self) -> Imported:
        """Write how many lines there were, and compare the payments that the new ones are about."""
        result, psp, account = self.result, self.target.psp, self.target.account
        if result.before is None:
            self.settlements.finish_file(result.file_id, result.lines)
        if self.first_line is not None:
            result.differs = self.settlements.list_differing_in_file(
                psp, account, self.target.mapping.converts, result.file_id, self.first_line, MOST_SHOWN
            )
        return result

    def _drop_repeated(self, batch: Sequence[Numbered]) -> list[Numbered]:
        first: dict[str, Numbered] = {}
        for number, line in batch:
            earlier, kept = first.setdefault(line.line_key, (number, line))
            if kept is line:
                continue
            if kept != line:
                raise BadReport(
                    f"line {number}: the same key as line {earlier}, and says something else: {line.line_key}"
                )
            self.result.known += 1
        return list(first.values())

    def _work_on(self, batch: Sequence[Numbered]) -> None:
        psp, account = self.target.psp, self.target.account
        known = self.settlements.find_known(psp, account, [line.line_key for _, line in batch])
        gaps = self._compare([(number, line, known[line.line_key]) for number, line in batch if line.line_key in known])
        if self.result.before is None:
            self._take(batch, known, gaps)

    def _take(self, batch: Sequence[Numbered], known: Mapping[str, KnownLine], gaps: Sequence[Gap]) -> None:
        psp, account = self.target.psp, self.target.account
        new = [line for _, line in batch if line.line_key not in known]
        filled = self._fill(gaps)
        ids = self.settlements.add_lines(self.result.file_id, psp, account, new)
        matched = self.settlements.match([*ids.values(), *filled])
        self.result.new += len(new)
        self.result.matched += len(matched)
        self.result.unmatched += sum(line.kind in OF_PAYMENTS and ids[line.line_key] not in matched for line in new)
        if ids:
            self.first_line = min(ids.values()) if self.first_line is None else self.first_line

    def _compare(self, pairs: Sequence[tuple[int, NewLine, KnownLine]]) -> list[Gap]:
        """Count what is known and what changed; what the known ones can learn."""
        gaps = []
        for number, line, known in pairs:
            if is_same(known, line):
                self.result.known += 1
                gaps += [gap] if (gap := find_gap(known, line)) else []
            elif known.file_id == self.result.file_id and self.result.before is None:
                raise BadReport(f"line {number}: a key that stood before, and says something else: {line.line_key}")
            else:
                self._note_changed(number, line, known)
        return gaps

    def _fill(self, gaps: Sequence[Gap]) -> list[int]:
        self.settlements.fill(gaps)
        self.result.filled += len(gaps)
        return [gap.id for gap in gaps]

    def _note_changed(self, number: int, line: NewLine, known: KnownLine) -> None:
        self.result.changed += 1
        if len(self.result.changed_lines) < MOST_SHOWN:
            old = (known.amount_minor, known.fee_minor)
            self.result.changed_lines.append(
                ChangedLine(number, line.line_key, *old, line.amount_minor, line.fee_minor)
            )
