"""No byte of what is signed can be changed: exhaustively, at random, and but for the leeways that are named, each tried."""

from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingress.framing import Arrival
from ingress.receiver import Door
from psps.base import Hint, Ignored, InvalidSignature
from psps.registry import PSPS
from sandbox.keys import Keys
from tests.psps.genuine import UNREGISTERED, Signed, make_genuine
from tests.psps.leeway import BODY, PROOFS, QUERY, Leeway
from tests.psps.mutations import Edit, change_once, edits
from tests.psps.simulated import NOW, at

STP = "stp"
ALL = (*PSPS, *UNREGISTERED)
SIGNED_PARTS = [(psp, part) for psp in ALL for part in PROOFS[psp]]
LEEWAYS = [(psp, part, name) for psp, part in SIGNED_PARTS for name in PROOFS[psp][part].leeways]
# Where nothing signs the body, something else must keep whoever knows the password, or one signature, from moving money.
NOTHING_SIGNS_THE_BODY = {
    "mercadopago": "it signs data.id of the address, which is fetched: a delivery is a hint",
    "openpay": "it sends a password: a delivery is a hint",
    "stp": "it sends a password, and cannot be asked: an account takes deliveries from STP's addresses alone",
}
# RSA, or a JSON text that is read anew for each change.
COSTLY = frozenset({"conekta", "bitso", "transak", "adyen"})
# Mercado Pago signed ids in lower case once, however they were written in the address. Its payments' ids are numbers.
OTHER_CASE = ("mercadopago", QUERY)

every_psp = pytest.mark.parametrize("psp", ALL)


@pytest.fixture(scope="module")
def genuine(sandbox_keys: Keys) -> dict[str, Signed]:
    return {psp: make_genuine(psp, sandbox_keys) for psp in ALL}


def is_refused_or_the_same(delivery: Signed, part: str, text: bytes) -> bool:
    """Whether the changed delivery is refused. One that is not proves the same, and what it stores is the same."""
    changed = delivery.change(part, text)
    if changed.verify() is None:
        return True
    before = delivery.part(part)
    assert PROOFS[delivery.psp][part].same(before, text), (delivery.psp, part, text)
    if (delivery.psp, part) != OTHER_CASE or before.swapcase() == text.swapcase():
        assert changed.tell_stored() == delivery.tell_stored(), (delivery.psp, part, text)
    return False


@every_psp
def test_the_genuine_delivery_is_accepted_and_every_signed_part_is_in_the_table(
    psp: str, genuine: dict[str, Signed]
) -> None:
    delivery = genuine[psp]
    assert delivery.verify()
    needed = {name for name in delivery.headers if delivery.rename(name, b"x-other").verify() is None}
    assert needed == PROOFS[psp].keys() - {BODY, QUERY}
    assert (BODY in PROOFS[psp]) is (psp not in NOTHING_SIGNS_THE_BODY)
    assert (QUERY in PROOFS[psp]) is (psp in PSPS and PSPS[psp].signs_query)


@pytest.mark.parametrize(("psp", "part"), SIGNED_PARTS)
def test_no_single_byte_can_be_changed(psp: str, part: str, genuine: dict[str, Signed]) -> None:
    """Each bit or value of each byte, one more byte anywhere, one less, two swapped, and each length it can be cut to."""
    text = genuine[psp].part(part)
    tried = passed = 0
    for changed in change_once(text, psp not in COSTLY):
        tried += 1
        passed += not is_refused_or_the_same(genuine[psp], part, changed)
    print(f"{psp} {part}: {tried} changes of {len(text)} bytes, {passed} let pass, as the leeways have it")
    assert tried > (35 if psp in COSTLY else 500) * len(text)
    assert bool(passed) <= bool(PROOFS[psp][part].leeways)


@pytest.mark.parametrize(("psp", "part"), [(psp, part) for psp, part in SIGNED_PARTS if part not in (BODY, QUERY)])
def test_a_header_of_another_name_proves_nothing_but_its_case_does_not_count(
    psp: str, part: str, genuine: dict[str, Signed]
) -> None:
    for name in change_once(part.encode()):
        changed = genuine[psp].rename(part, name)
        assert (changed.verify() is None) is (name.lower() != part.encode()), name


@pytest.mark.parametrize(("psp", "part", "name"), LEEWAYS)
def test_a_named_leeway_is_let_pass_and_stores_the_same(
    psp: str, part: str, name: str, genuine: dict[str, Signed]
) -> None:
    before = genuine[psp].part(part)
    leeway: Leeway = PROOFS[psp][part].leeways[name]
    text = leeway.example(before)
    assert leeway.reason
    assert text != before
    assert not is_refused_or_the_same(genuine[psp], part, text), (
        f"{name} is let pass no longer: take it out of the table"
    )


def test_letters_of_an_id_in_another_case_bring_one_more_hint_of_a_payment_that_is_none(
    genuine: dict[str, Signed],
) -> None:
    delivery = genuine["mercadopago"]
    changed = delivery.change(QUERY, b"data.id=21C0FE&type=payment")
    assert changed.verify()
    assert changed.tell_stored()[0] != delivery.tell_stored()[0]
    assert changed.read() == delivery.read() == "the payment's id is not a number"


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=edits)
@every_psp
def test_no_changes_of_headers_and_body_are_accepted_but_those_that_prove_the_same(
    psp: str, genuine: dict[str, Signed], edits: list[Edit]
) -> None:
    parts = list(PROOFS[psp])
    changed = delivery = genuine[psp]
    for edit in edits:
        part = parts[edit.text % len(parts)]
        changed = changed.change(part, edit.apply(changed.part(part)))
    if changed.verify() is not None:
        assert all(PROOFS[psp][part].same(delivery.part(part), changed.part(part)) for part in parts)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(st.characters(codec="latin-1"), min_size=1, max_size=20), value=st.binary(max_size=60))
@every_psp
def test_a_header_that_is_not_signed_says_nothing(
    psp: str, genuine: dict[str, Signed], name: str, value: bytes
) -> None:
    """Neither those that come with it, such as MoonPay's older signature and Content-Type, nor any other."""
    delivery = genuine[psp]
    for other in {*delivery.headers, name.lower()} - PROOFS[psp].keys():
        changed = delivery.change(other, value)
        assert changed.tell_stored() == delivery.tell_stored()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=edits)
@pytest.mark.parametrize("psp", NOTHING_SIGNS_THE_BODY)
def test_where_nothing_signs_the_body_it_is_a_hint_or_comes_from_known_addresses(
    psp: str, genuine: dict[str, Signed], edits: list[Edit]
) -> None:
    changed = delivery = genuine[psp]
    for edit in edits:
        changed = changed.change(BODY, edit.apply(changed.body))
    assert changed.verify() == delivery.verify()
    if PSPS[psp].is_hint:
        assert isinstance(changed.read(), Hint | Ignored | str)
    else:
        assert psp == STP


def test_the_password_of_stp_is_worth_nothing_at_an_address_that_is_not_its_own(genuine: dict[str, Signed]) -> None:
    delivery = genuine[STP]
    assert delivery.door is not None
    account = replace(delivery.door.account, sources=(ip_network("192.0.2.0/24"),))
    door = Door.of(account, trusted_proxies=0)
    assert door.admit(Arrival(delivery.headers, delivery.body, "192.0.2.7"), at(NOW))
    for other in ("198.51.100.7", "", "::1"):
        with pytest.raises(InvalidSignature, match="address"):
            door.admit(Arrival(delivery.headers, delivery.body, other), at(NOW))
