"""What the tables say of a payment, in sentences that a merchant understands, for the timeline. Pure functions.

The words of each language are in wording_en.py and wording_es.py, under the same names.
"""

from collections.abc import Mapping
from typing import Final, Literal, Protocol, TypeGuard

from werkzeug.http import parse_accept_header

from ingress.api import wording_en, wording_es
from models.states import AttemptStatus, Outcome
from models.states import EventKind as K
from models.states import PaymentState as S

Language = Literal["en", "es"]

LANGUAGES: Final[tuple[Language, ...]] = ("en", "es")
LONGEST_CODE = 64
# Where a kind of event leads to this state, its own sentence has told the state already.
TELLS_STATE: Mapping[str, str] = {
    K.PENDING: S.PENDING,
    K.PROCESSING: S.PROCESSING,
    K.FAILED: S.FAILED,
    K.EXPIRED: S.EXPIRED,
    K.CANCELED: S.CANCELED,
    K.COMPLETED: S.COMPLETED,
    K.DISPUTED: S.DISPUTED,
    K.RETURNED: S.RETURNED,
}


class Words(Protocol):
    """What a language's module holds. Templates have their gaps in braces."""

    STATES: Mapping[str, str]  # by PaymentState, as the end of "the payment is ..."
    STAYS: str
    BECOMES: str
    NOTHING_CHANGED: str
    REPORTS: Mapping[str, str]  # by Source
    NEWS: Mapping[str, str]  # by EventKind, as a REPORTS goes on
    REFUNDED_TOTAL: str  # instead of the news that money was refunded, where that may not be so
    REMARKS: Mapping[str, str]  # by the reason of an APPLIED decision
    UNCHANGED: Mapping[str, str]  # by an Outcome that changes nothing
    REFUSED: str
    CAUSES: Mapping[str, str]  # by the reason of a FORBIDDEN decision
    ANY_CAUSE: str
    REQUESTS: Mapping[str, str]  # by Operation
    ATTEMPTS: Mapping[str, str]  # by AttemptStatus
    SENT_AGAIN: str
    REFUSED_WITH_CODE: str
    REFUSALS: Mapping[str, str]  # by the error code of an attempt that our own clients refuse
    NOTIFICATIONS: Mapping[str, tuple[str, str, str]]  # by DeliveryStatus: after no attempt, one, several
    ANSWERED: str
    NOT_ANSWERED: str


WORDS: Mapping[Language, Words] = {"en": wording_en, "es": wording_es}


def choose_language(accept_language: str | None) -> Language:
    """What an Accept-Language header likes best: of equally liked languages the one that it names, and names first.

    A region counts as its language (es-MX is es). English where the header is missing, garbage, or wants neither.
    """
    ranges = [(tag.replace("_", "-").split("-")[0].lower(), q) for tag, q in parse_accept_header(accept_language)]
    others = max((q for primary, q in ranges if primary == "*"), default=0.0)
    best: tuple[Language, tuple[float, bool, int]] = ("en", (0.0, False, 0))
    for language in LANGUAGES:
        own = [(q, -place) for place, (primary, q) in enumerate(ranges) if primary == language]
        liked, place = max(own, default=(others, 0))
        rank = (liked, bool(own), place)
        if liked and rank > best[1]:
            best = (language, rank)
    return best[0]


def describe_state(language: Language, state: str) -> str:
    """A label for a models.states.PaymentState. Raises KeyError for anything else."""
    return _begin(WORDS[language].STATES[state])


def describe_transition(
    language: Language,
    kind: str,
    from_state: str | None,
    to_state: str | None,
    outcome: str,
    reason: str | None,
    source: str,
) -> str:
    """What was reported and what came of it, or why nothing did: one or two sentences.

    `reason` is a code of the workers; one without a sentence gets a general one. The others are words of
    models.states (EventKind, PaymentState, Outcome, Source). Raises KeyError where they are not.
    """
    words = WORDS[language]
    report = _begin(words.REPORTS[source].format(news=_find_news(words, kind, to_state)))
    standing = _describe_standing(words, from_state, to_state)
    comment = _find_comment(words, outcome, reason)
    if "{standing}" in comment:
        return f"{report}. {comment.format(standing=standing)}"
    if to_state is not None and TELLS_STATE.get(kind) != to_state:
        report = f"{report}; {standing}"
    return f"{report}. {comment}".rstrip()


def _find_news(words: Words, kind: str, to_state: str | None) -> str:
    """A payment without refunds has a total of refunds too: zero."""
    if kind == K.REFUNDED and to_state not in {S.PARTIALLY_REFUNDED, S.REFUNDED}:
        return words.REFUNDED_TOTAL
    return words.NEWS[kind]


def _describe_standing(words: Words, from_state: str | None, to_state: str | None) -> str:
    if to_state is None:
        return words.NOTHING_CHANGED
    template = words.STAYS if from_state == to_state else words.BECOMES
    return template.format(state=words.STATES[to_state])


def _find_comment(words: Words, outcome: str, reason: str | None) -> str:
    """The second sentence, perhaps with a gap for where the payment stands, perhaps empty."""
    if outcome == Outcome.APPLIED:
        return words.REMARKS.get(reason or "", "")
    if outcome == Outcome.FORBIDDEN:
        return words.REFUSED.format(cause=words.CAUSES.get(reason or "", words.ANY_CAUSE), standing="{standing}")
    return words.UNCHANGED[outcome]


def describe_attempt(language: Language, operation: str, status: str, error_code: str | None) -> str:
    """What became of a request to the PSP: one or two sentences. A refusal shows the PSP's code, if that can be shown.

    The words are of models.states (Operation, AttemptStatus). Raises KeyError where they are not.
    """
    words = WORDS[language]
    template = words.ATTEMPTS[status]
    if status == AttemptStatus.READY and error_code:
        template = words.SENT_AGAIN
    told = _begin(template.format(request=words.REQUESTS[operation]))
    if status != AttemptStatus.REFUSED or not _can_be_shown(error_code):
        return f"{told}."
    if error_code in words.REFUSALS:
        return f"{told}. {words.REFUSALS[error_code]}"
    return f"{told} {words.REFUSED_WITH_CODE.format(code=error_code)}."


def _can_be_shown(code: str | None) -> TypeGuard[str]:
    return bool(code and code.strip() and code.isprintable() and len(code) <= LONGEST_CODE)


def describe_notification(language: Language, status: str, attempts: int, last_status: int | None) -> str:
    """How a notification to one endpoint goes. `attempts` were made so far, the last answered with the HTTP status
    `last_status`, None for not at all. Raises KeyError where `status` is no models.states.DeliveryStatus."""
    words = WORDS[language]
    answer = words.NOT_ANSWERED if last_status is None else words.ANSWERED.format(status=last_status)
    return words.NOTIFICATIONS[status][min(attempts, 2)].format(attempts=attempts, answer=answer)


def _begin(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
