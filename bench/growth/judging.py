"""What is wrong with plans: a large table read from end to end, or work that grows with what is stored."""

from dataclasses import dataclass

from bench.growth.plans import Plan

# A deeper tree takes more blocks for each look-up, up to twice as many from ten thousand rows to ten million. What is left of
# rows that were updated a moment ago counts too, some for each of a batch of 200. Reading ten million takes 100,000 and more.
MOST_GROWTH = 2.5
SOME_BLOCKS = 1000


@dataclass(frozen=True)
class Verdict:
    """One statement at both sizes. `fault` is empty where nothing is wrong."""

    question: str
    statement: str
    small_blocks: int
    big_blocks: int
    big_milliseconds: float
    fault: str
    nodes: tuple[str, ...] = ()


def judge(small: dict[str, list[Plan]], big: dict[str, list[Plan]], big_tables: set[str]) -> list[Verdict]:
    """A verdict on every statement that was sent at the big size."""
    return [
        _judge(question, statement, _find_worst(small.get(question, [])).get(statement), plan, big_tables)
        for question, plans in big.items()
        for statement, plan in _find_worst(plans).items()
    ]


def _find_worst(plans: list[Plan]) -> dict[str, Plan]:
    """By statement: one that is sent several times counts where it touched most."""
    found: dict[str, Plan] = {}
    for plan in plans:
        if plan.statement not in found or found[plan.statement].blocks < plan.blocks:
            found[plan.statement] = plan
    return found


def _judge(question: str, statement: str, small: Plan | None, big: Plan, big_tables: set[str]) -> Verdict:
    faults = [f"reads all of {table}" for table in sorted(big.scans & big_tables)]
    before = small.blocks if small else 0
    if big.blocks > MOST_GROWTH * before + SOME_BLOCKS:
        faults.append(f"touches {big.blocks:,} blocks, and {before:,} at the small size")
    return Verdict(question, statement, before, big.blocks, big.milliseconds, "; ".join(faults), tuple(big.nodes))
