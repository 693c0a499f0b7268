"""docs/states.md, printed from the table of legal moves: `python -m workers.state_diagram > docs/states.md`."""

from models.states import PaymentState
from workers.state_machine import MOVES, NOT_PAID, PROVES_COMPLETION

HEAD = """# States of a payment

Printed from `workers/state_machine.py` by `make docs`; a test keeps the two equal.

```mermaid
stateDiagram-v2
    [*] --> pending
"""

RULES = """
Beyond the table:

- **Implied.** {proofs} prove that the money had come. Where they find a payment that is {not_paid}, the completion that
  they suppose is taken as given, with the reason `implied`.
- **Reordered.** An event that arrives late is put where the PSP's clock has it, and all events are folded again. If that
  takes the payment somewhere by a move that the table lacks, the move is named `reordered`.
- **Dispute over.** Where the PSP's own status of a payment tells disputes too and now tells of money that is there, a dispute that
  was open has ended: the payment is as its refunds have it, with the reason `dispute_over`.
- **Anything else is refused**: outcome `FORBIDDEN`, an open discrepancy, and the state stays as it was.

| from | event | to |
|---|---|---|
"""


def render_states() -> str:
    """The whole page."""
    arrows = sorted({(a, b, str(kind)) for a, kind, b in MOVES if a is not b})
    edges = dict.fromkeys((a, b) for a, b, _ in arrows)
    lines = [f"    {a} --> {b}: {', '.join(k for x, y, k in arrows if (x, y) == (a, b))}" for a, b in edges]
    rules = RULES.format(
        proofs=", ".join(f"`{kind}`" for kind in sorted(PROVES_COMPLETION)),
        not_paid=", ".join(f"`{state}`" for state in PaymentState if state in NOT_PAID),
    )
    table = [f"| {a} | {kind} | {b if a is not b else 'stays'} |" for a, kind, b in MOVES]
    return HEAD + "\n".join(lines) + "\n```\n" + rules + "\n".join(table) + "\n"


if __name__ == "__main__":
    print(render_states(), end="")  # noqa: T201 - the page is what this prints
