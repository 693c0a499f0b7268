"""What each kind of attempt asks of a client: the change itself, and the look-up that settles it."""

from collections.abc import Callable
from datetime import datetime

from models.attempts import ClaimedAttempt
from models.states import Operation
from psps.outbound import Answer, CancelRequest, Client, CreateRequest, RefundRequest


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
