"""What each kind of attempt asks of a client: the change itself, and the look-up that settles it."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

import structlog

from models.attempts import ClaimedAttempt
from models.states import Operation
from psps.base import Unparseable
from psps.outbound import Answer, CancelRequest, Client, CreateRequest, NotOffered, PspError, RefundRequest, Refused
from workers.dependencies import WorkerDeps

log = structlog.get_logger(__name__)

T = TypeVar("T")


def guard(deps: WorkerDeps, call: Callable[[], T], if_broken: type[PspError]) -> T:
    """What the call gives. Whatever a bug raises in it becomes `if_broken`, so that one odd answer ends no worker; so does
    the end of the task's time, while there is a moment left to write that down. What the PSP has no call for is refused.

    Raises PspError and nothing else.
    """
    try:
        return call()
    except PspError:
        raise
    except NotOffered as error:
        raise Refused("not_offered", str(error)) from error
    except deps.interruption as error:
        raise if_broken("out_of_time") from error
    except Unparseable as error:
        raise if_broken("unreadable_answer", str(error)) from error
    except Exception as error:
        log.error("call_broken", error=type(error).__name__)
        raise if_broken(type(error).__name__) from error


def _refund_of(attempt: ClaimedAttempt) -> RefundRequest:
    return RefundRequest(**{**attempt.request, "refunded_before_minor": attempt.baseline_minor})


def _find_canceled(client: Client, attempt: ClaimedAttempt, since: datetime) -> Answer | None:
    """Canceling twice does no harm, so there is nothing to look up: it is asked for again."""
    return client.cancel(CancelRequest(**attempt.request))


SEND: dict[Operation, Callable[[Client, ClaimedAttempt], Answer]] = {
    Operation.CREATE: lambda client, attempt: client.create(CreateRequest.from_json(attempt.request)),
    Operation.REFUND: lambda client, attempt: client.refund(_refund_of(attempt)),
    Operation.CANCEL: lambda client, attempt: client.cancel(CancelRequest(**attempt.request)),
}
FIND: dict[Operation, Callable[[Client, ClaimedAttempt, datetime], Answer | None]] = {
    Operation.CREATE: lambda client, attempt, since: client.find_created(
        CreateRequest.from_json(attempt.request), since
    ),
    Operation.REFUND: lambda client, attempt, since: client.find_refund(_refund_of(attempt), since),
    Operation.CANCEL: _find_canceled,
}
