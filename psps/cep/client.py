"""Banxico's portal (www.banxico.org.mx/cep), a form for people: ask about a payment, then download its proof.

There is no key and no documented limit, but there is one. Source: cep-python (cuenca-mx) and its recorded traffic.
UNVERIFIED: whether Banxico's terms allow more than a few questions by a machine: only disputed payments are asked for.
"""

from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Literal

from psps.base import Unparseable
from psps.calls import Call, Fault, HttpAnswer
from psps.cep.pages import Page, find_state, tell_page
from psps.cep.proof import CepProof, read_proof
from psps.cep.query import CepQuery
from psps.gate import Gate
from psps.http import PspHttp
from psps.outbound import NotNow

Outcome = Literal["found", "not_yet", "unknown"]
ASK, DOWNLOAD = "/valida.do", "/descarga.do"
HEADERS = {"accept": "text/html, application/xml"}
# Recorded: the fifth question within three seconds met the captcha. The limit itself and how long the portal sulks are
# UNVERIFIED.
PAUSE_AFTER_TOO_MANY = 900.0
MOST_BYTES = 262_144  # a page has some 20,000
ONE_DAY = timedelta(days=1)
_REFUSALS = {Page.QUOTA: "too_many_questions", Page.CAPTCHA: "captcha_wanted"}


@dataclass(frozen=True, slots=True)
class CepAnswer:
    """What the portal says. `body` is the XML where one was downloaded, else the page; `as_of` as in psps.outbound.

    found: the proof is there, and is of this payment. not_yet: Banxico knows the payment, whose bank has not sealed a
    proof; `state` is Banxico's word for it, and one that was returned or canceled will never have one. unknown: nothing
    is proven, which does not mean that it failed; `differs` names the fields in which the XML is of another payment.
    """

    outcome: Outcome
    body: bytes = field(repr=False)
    proof: CepProof | None
    as_of: datetime
    differs: tuple[str, ...] = ()
    state: str | None = None


class CepClient:
    """Asks the portal, from one thread. `portal_url` reaches to its folder: https://www.banxico.org.mx/cep

    Each of the two calls of a question, and each repetition, takes its turn at the gate.
    """

    def __init__(self, portal_url: str, gate: Gate) -> None:
        limits = replace(gate.limits, most_bytes=min(gate.limits.most_bytes, MOST_BYTES))
        self._http = PspHttp(portal_url, replace(gate, limits=limits), _read_fault)

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def ask(self, query: CepQuery) -> CepAnswer:
        """The answer under the first of `query.neighbours` that is not missed. Raises NotNow, nothing else.

        After too many questions it says how many seconds to wait, and until then nothing should be asked at all.
        """
        try:
            for day in query.neighbours:
                answer = self._ask_for(query, day)
                if answer.outcome != "unknown" or answer.differs:
                    break
            return answer
        finally:
            self._http.close()  # a session, held by cookies, remembers one payment: the next one has its own

    def _ask_for(self, query: CepQuery, day: date) -> CepAnswer:
        """The session's cookies travel by themselves: the client behind PspHttp keeps each as it was set."""
        answer = self._http.call(Call("POST", ASK, headers=HEADERS, form=_write_form(query, day)))
        page = _tell_page(answer)
        if page is Page.MISSING:
            return CepAnswer("unknown", answer.body, None, answer.as_of)
        if page is Page.IDENTIFIED:
            return CepAnswer("not_yet", answer.body, None, answer.as_of, state=find_state(answer.body))
        return _compare(query, self._http.call(Call("GET", DOWNLOAD, [("formato", "XML")], HEADERS)))


def _tell_page(answer: HttpAnswer) -> Page:
    page = tell_page(answer.body)
    if page in _REFUSALS:
        raise NotNow(_REFUSALS[page], "", answer.status, PAUSE_AFTER_TOO_MANY)
    return page


def _compare(query: CepQuery, answer: HttpAnswer) -> CepAnswer:
    try:
        proof = read_proof(answer.body)
    except Unparseable as error:
        _tell_page(answer)  # only now: a payer's words, which are in the XML, must not look like the portal's
        raise NotNow("unreadable_answer", str(error), answer.status) from None
    differs = tuple(_list_differences(query, proof))
    if differs:
        return CepAnswer("unknown", answer.body, None, answer.as_of, differs)
    return CepAnswer("found", answer.body, proof, answer.as_of)


def _list_differences(query: CepQuery, proof: CepProof) -> list[str]:
    """A recorded proof of payment type 3 names another account than was asked for: a person looks at such a one."""
    asked = {
        "tracking_key": query.tracking_key == proof.tracking_key,
        "amount_minor": query.amount_minor == proof.amount_minor,
        "account": query.to_participant or query.account == proof.account,
        "receiver": query.receiver == proof.receiver,
        "civil_day": _is_of_those_days(query.civil_day, proof),
    }
    return [name for name, is_same in asked.items() if not is_same]


def _is_of_those_days(day: date, proof: CepProof) -> bool:
    """A bank may credit a payment later than it was settled, and at the latest minute that is the next day."""
    days = (proof.operating_day, proof.credited_day)
    return min(days) - ONE_DAY <= day <= max(days)


def _write_form(query: CepQuery, day: date) -> list[tuple[str, str]]:
    return [
        ("tipoCriterio", "T"),  # by clave de rastreo
        ("captcha", "c"),  # shown to people, not checked until there were too many questions
        ("tipoConsulta", "1"),
        ("fecha", f"{day:%d-%m-%Y}"),
        ("criterio", query.tracking_key),
        ("emisor", query.sender),
        ("receptor", query.receiver),
        ("cuenta", query.account),
        ("monto", f"{query.amount_minor // 100}.{query.amount_minor % 100:02}"),
        ("receptorParticipante", str(int(query.to_participant))),
    ]


def _read_fault(status: int, body: bytes) -> Fault:
    """No status says anything about the payment, not even 404: the portal is closed, moved or has had enough of us."""
    return Fault(f"http_{status}", kind=NotNow, may_repeat=status >= 500)
