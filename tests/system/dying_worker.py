"""What a process does that asks for something and carries it out, and kills itself with SIGKILL at one step."""

import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import bootstrap
import bootstrap_starting
from config import load_config
from ingress.asking import ask_payment, ask_refund
from models.states import Direction, Method
from models.unit_of_work import UnitOfWork
from psps.outbound import CreateRequest, Payer
from workers.app import create_celery
from workers.calling import serve_account
from workers.dependencies import WorkerDeps

STEPS = (
    "before the row",
    "after the row",
    "before the call is announced",
    "before the call",
    "during the call",
    "after the effect",
    "before the answer is stored",
    "after the answer is stored",
)
WANTED = {
    "stripe": CreateRequest(
        "", "", Method.OXXO, 15_000, "MXN", payer=Payer("Ana Ruiz", "ana@example.com", "+5215555555555")
    ),
    "conekta": CreateRequest(
        "", "", Method.OXXO, 15_000, "MXN", payer=Payer("Ana Ruiz", "ana@example.com", "+5215555555555")
    ),
    "stp": CreateRequest(
        "", "", Method.SPEI, 15_000, "MXN", direction=Direction.OUT, clabe="012180004643051249", beneficiary="Ana Ruiz"
    ),
    "mercadopago": CreateRequest("", "", Method.OXXO, 15_000, "MXN", payer=Payer("Ana Ruiz", "ana@example.com")),
    "openpay": CreateRequest("", "", Method.OXXO, 15_000, "MXN", payer=Payer("Ana Ruiz", "ana@example.com")),
    "bitso": CreateRequest("", "", Method.SPEI, 15_000, "MXN", payer=Payer("Ana Ruiz")),
}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class MortalUnitOfWork(UnitOfWork):
    """Counts the commits of this process and dies before one of them."""

    commits = 0
    dies_before = 0

    def commit(self) -> None:
        type(self).commits += 1
        if self.commits == self.dies_before:
            die()
        super().commit()


class MortalClient:
    """The real client; dies right before or right after its changing call."""

    def __init__(self, client: Any, when: str) -> None:
        self.client, self.when = client, when

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.client, name)
        return self._mortal(found) if name in ("create", "refund", "cancel") else found

    def _mortal(self, call: Any) -> Any:
        def act(request: Any) -> Any:
            if self.when == "before the call":
                die()
            answer = call(request)
            if self.when == "before the answer is stored":
                die()
            return answer

        return act


def make_deps(unit_of_work: type[UnitOfWork] = UnitOfWork) -> WorkerDeps:
    """The dependencies of a worker in this process."""
    config = load_config()
    deps = bootstrap.build_worker_deps(config, create_celery(config.broker_url))
    engine = bootstrap_starting.build_engine(config, "worker")
    return replace(deps, unit_of_work=lambda: unit_of_work(engine))


def ask(deps: WorkerDeps, psp: str, operation: str, payment: str) -> None:
    config = load_config()
    with deps.unit_of_work() as work:
        if operation == "create":
            ask_payment(work, config.accounts[psp, "default"], WANTED[psp], deps.clock())
        else:
            ask_refund(work, payment, 5_000, deps.clock())
        work.commit()


def work(environment: Mapping[str, str], step: str, psp: str, operation: str, payment: str) -> None:
    """Be a worker with this environment. `step` is one of STEPS, `payment` the PSP's id of what is refunded."""
    os.environ.clear()
    os.environ.update(environment)
    deps = make_deps(MortalUnitOfWork)
    # The commits in their order: the ask, the claim of the attempt, the announcement of the call, the answer.
    MortalUnitOfWork.dies_before = {
        "before the row": 1,
        "after the row": 2,
        "before the call is announced": 3,
    }.get(step, 0)
    client = deps.find_client(psp, "default")
    mortal = MortalClient(client, step)
    deps = replace(deps, find_client=lambda *_: mortal)  # type: ignore[arg-type,return-value]
    ask(deps, psp, operation, payment)
    serve_account(deps, psp, "default")
    if step == "after the answer is stored":
        die()
