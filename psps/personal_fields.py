"""Which values are about a person: by the names of their fields, in Spanish and English, and by their look."""

import re
import unicodedata
from datetime import date


def _many(words: str) -> frozenset[str]:
    return frozenset(words.split())


# A field is about a person if its name, without case, accents and punctuation, holds one of these.
_STEMS = _many(
    "nombre apellido paterno materno titular firstname lastname middlename fullname surname accountholder holdername payername"
    " username cardholder email correo phone telefono celular movil mobile whatsapp direccion domicilio address"
    " codigopostal postalcode zipcode nacimiento birth gender curp passport pasaporte taxid nationalid clabe iban"
    " cuenta accountnumber securitycode clientsecret password concepto description descripcion comment comentario"
    " signature firma"
)
# ... or if one of its words is one of these, which are too short to be looked for within others.
_WORDS = _many(
    "name rfc ine tel ip dob ssn zip city ciudad street calle colonia municipio line1 line2 note notes nota notas"
    " memo token wallet beneficiary"
)
_WHOLE = _many("payerid cp owner holder sender recipient ordenante beneficiario payer customername")
# The names of banks, methods and services, and kinds of accounts, are nobody's.
_NOBODYS = _many(
    "methodname servicename bankname networkname eventname brandname currencyname productname walletaddresstag"
    " lockwalletaddress issuername"
)
_KINDS = ("tipo", "institucion")
# Objects that are about a person as a whole: what is in them is masked, but for what says nothing about who it is.
PEOPLE = _many(
    "address billing billingdetails billingaddress shipping shippingdetails shippingcontact customerinfo payer payerinfo"
    " customer customerdetails owner verifiedowner holder cardholder phone identification name buyer recipient sender"
    " beneficiary beneficiario ordenante person user kyc domicilio direccion contact cliente comprador titular"
)
_SAYS_NOTHING = _many("id object type country currency status livemode locale brand funding created createdat")
_WORD = re.compile(r"[A-Z]+(?![a-z])[0-9]*|[A-Z]?[a-z]+[0-9]*|[0-9]+")
_DIGIT_OR_LETTER = "0-9A-Za-zÑñ"

_URL_QUERY = re.compile(r"(https?://[^\s?\"<>]{1,400})\?[^\s\"<>]+")
_EMAIL = re.compile(r"[^\s@\"'<>(),;:=/\\]{1,64}(?:@|%40)[^\s@\"'<>(),;:=/\\]{1,253}", re.IGNORECASE)
_WALLET = re.compile(rf"(?<![{_DIGIT_OR_LETTER}])0x[0-9a-fA-F]{{40}}(?![{_DIGIT_OR_LETTER}])")
_CURP = re.compile(
    rf"(?<![{_DIGIT_OR_LETTER}])[A-ZÑ]{{4}}[0-9]{{6}}[HMX][A-ZÑ]{{5}}[0-9A-Z][0-9](?![{_DIGIT_OR_LETTER}])",
    re.IGNORECASE,
)
_RFC = re.compile(
    rf"(?<![{_DIGIT_OR_LETTER}&])[A-ZÑ&]{{3,4}}[ -]?([0-9]{{2}})([0-9]{{2}})([0-9]{{2}})[ -]?[0-9A-Z]{{3}}(?![{_DIGIT_OR_LETTER}])",
    re.IGNORECASE,
)
_CLABE = re.compile(
    rf"(?<![{_DIGIT_OR_LETTER}])[0-9]{{3}}[ -]?[0-9]{{3}}[ -]?[0-9]{{11}}[ -]?[0-9](?![{_DIGIT_OR_LETTER}])"
)
# Ten digits alone are as often an order or a time: a telephone begins with +, or its digits stand in groups.
_PHONE = re.compile(
    rf"(?<![{_DIGIT_OR_LETTER}])(?:\+[0-9][0-9 ().-]{{8,18}}[0-9]|\(?[0-9]{{2,3}}\)?[ -][0-9]{{3,4}}[ -][0-9]{{4}})(?![{_DIGIT_OR_LETTER}-])"
)
MASK = "***"


def is_personal(name: str) -> bool:
    """Whether a field of this name holds something about a person."""
    plain = simplify(name)
    if plain in _NOBODYS or plain.startswith(_KINDS):
        return False
    if plain in _WHOLE or any(stem in plain for stem in _STEMS):
        return True
    return any(word.lower() in _WORDS for word in _WORD.findall(_without_accents(name)))


def is_about_person(name: str) -> bool:
    """Whether an object of this name is about a person as a whole."""
    return simplify(name) in PEOPLE


def says_nothing(name: str) -> bool:
    """Whether a field of such an object says nothing about who the person is."""
    return simplify(name) in _SAYS_NOTHING


def simplify(name: str) -> str:
    """rfccurpordenante for RFC_CurpOrdenante: without case, accents and punctuation."""
    return "".join(letter for letter in _without_accents(name).lower() if letter.isalnum())


def mask_value(value: str) -> str:
    """What is shown of a value that is about a person: of an account its last four digits, else nothing."""
    digits = value.replace(" ", "").replace("-", "")
    return f"{MASK}{digits[-4:]}" if len(digits) >= 16 and digits.isascii() and digits.isdigit() else MASK


def mask_patterns(text: str) -> str:
    """The text without CLABEs, RFCs, CURPs, e-mail addresses, telephones, wallets and queries of addresses."""
    text = _URL_QUERY.sub(rf"\1?{MASK}", text)
    for pattern in (_EMAIL, _WALLET, _CURP):
        text = pattern.sub(MASK, text)
    text = _CLABE.sub(lambda found: mask_value(found[0]), text)
    text = _RFC.sub(lambda found: MASK if _is_date(found[1], found[2], found[3]) else found[0], text)
    return _PHONE.sub(MASK, text)


def _is_date(year: str, month: str, day: str) -> bool:
    try:
        date(2000 + int(year), int(month), int(day))
    except ValueError:
        return False
    return True


def _without_accents(text: str) -> str:
    return "".join(mark for mark in unicodedata.normalize("NFD", text) if not unicodedata.combining(mark))
