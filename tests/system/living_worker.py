"""A process that makes the calls of an account that are due, applies what is there, and ends.

python -m tests.system.living_worker PSP [card]: with `card` it first asks for a payment by card, which is paid at once.
"""

import sys
from dataclasses import replace

from sqlalchemy import text

import bootstrap
from config import load_config
from ingress.asking import ask_payment
from models.states import Method
from psps.outbound import CreateRequest, Payer
from tests.system.dying_worker import make_deps
from workers.calling import serve_account
from workers.services import process_events

PAYER = Payer("Ana Ruiz", "ana@example.com", "+5215555555555")
CARD = CreateRequest(
    "", "", Method.CARD, 15_000, "MXN", payer=PAYER, card_token="tok_test_visa_4242", description="Taza"
)


def main(psp: str, *asked: str) -> None:
    config = load_config()
    deps = replace(make_deps(), enqueue=lambda ids: None, ring_account=lambda *_: None)
    if asked:
        with deps.unit_of_work() as work:
            ask_payment(work, config.accounts[psp, "default"], CARD, deps.clock())
            work.commit()
    serve_account(deps, psp, "default")
    engine = bootstrap.build_engine(config, "cli")
    with engine.connect() as connection:
        ids = list(connection.scalars(text("select id from inbox_events where status = 'received' order by id")))
    engine.dispose()
    process_events(deps, ids)


if __name__ == "__main__":
    main(*sys.argv[1:])
