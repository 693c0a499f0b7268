"""Which values are about a person: by the names of their fields, in Spanish and English, and by their look."""

import re
import unicodedata
from datetime import date
from functools import lru_cache

from psps.clabe import mask_account


def _many(words: str) -> frozenset[str]:
    return frozenset(words.split())


# A field is about a person if its name, without case, accents and punctuation, holds one of these.
_STEMS = _many(
    "nombre apellido paterno materno titular firstname lastname middlename fullname surname accountholder holdername payername"
    " cardholder email correo phone telefono celular movil mobile whatsapp direccion domicilio address"
    " codigopostal postalcode zipcode nacimiento birth gender curp passport pasaporte taxid nationalid clabe iban"
    " cuenta accountnumber securitycode clientsecret password concepto description descripcion comment comentario"
    " signature firma alias nickname apodo razonsocial denominacion legalname username ocupacion occupation nacionalidad"
    " nationality estadocivil documentnumber numerodocumento licencia latitude longitude latitud longitud"
)
# ... or if one of its words is one of these, which are too short to be looked for within others.
_WORDS = _many(
    "name rfc ine tel ip dob ssn zip city ciudad street calle colonia municipio line1 line2 note notes nota notas"
    " memo token wallet beneficiary nm nss sexo sex genero edad colony neighborhood suburb apartment localidad"
)
_WHOLE = _many("payerid cp owner holder sender recipient ordenante beneficiario payer customername")
# The names of banks, methods and services, and kinds of accounts, are nobody's.
_NOBODYS = _many(
    "methodname servicename bankname networkname eventname brandname currencyname productname walletaddresstag"
    " lockwalletaddress issuername"
)
_KINDS = ("tipo", "institucion")
# What is about a person as a whole: a text of this name says who it is, and so does what is in an object of it, but for what
# says nothing about anybody.
PEOPLE = _many(
    "address billing billingdetails billingaddress shipping shippingdetails shippingcontact customerinfo payer payerinfo"
    " customer customerdetails owner verifiedowner holder cardholder phone identification name buyer recipient sender"
    " beneficiary beneficiario ordenante person user kyc domicilio direccion contact cliente comprador titular pagador"
    " remitente destinatario alias nickname razonsocial client contacto persona usuario propietario payee receptor emisor"
    " deudor acreedor debtor creditor dbtr cdtr originator representante apoderado identificacion"
)
_ROLES = _many(
    "customer client cliente comprador buyer payer pagador sender remitente recipient destinatario beneficiario"
    " beneficiaria beneficiary ordenante holder titular owner contact contacto person persona user usuario payee propietario"
    " debtor deudor creditor acreedor dbtr cdtr"
)
# A name that ends so tells of a customer's reference or bank, not who the customer is.
_ENDS = _many(
    "id ids uuid guid reference ref type tipo status state estado currency amount monto balance count at date fecha bank banco"
    " institution institucion network country code key version url level fee mode agent clave url"
)
_SAYS_NOTHING = _many("id object type country currency status livemode locale brand funding created createdat")
_WORD = re.compile(r"[A-Z]+(?![a-z])[0-9]*|[A-Z]?[a-z]+[0-9]*|[0-9]+")
_STEM = re.compile("|".join(sorted(_STEMS)))
_PLAIN_NAME = re.compile("[A-Za-z0-9_.-]{0,10}|[A-Za-z_]{11,40}")
_BLANK = re.compile(r"\s")
_LONGEST_NAME = 100  # what is longer is no name of a field
# cus_N4fB2k, a UUID, a hash, a small number: who is meant knows only the PSP.
_ID = re.compile(
    "(?=[^0-9]*[0-9])(?:(?:cus|cust|usr|cli|acct|per|byr)[_-][A-Za-z0-9]{2,64}"
    "|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|(?=[0-9]*[a-f])[0-9a-f]{16,64}|[0-9]{1,9})"
)
_DIGIT_OR_LETTER = "0-9A-Za-zÑñ"

_URL_QUERY = re.compile(r"(https?://[^\s?\"<>]{1,400})\?[^\s\"<>]+")
_OF_EMAIL = r"(?:[^\s@%\"'<>(),;:=/\\]|%(?!40))"
_EMAIL = re.compile(rf"(?<![^\s@%\"'<>(),;:=/\\]){_OF_EMAIL}++(?:(?:@|%40){_OF_EMAIL}++)++", re.IGNORECASE)
# JSON, and so a token, begins so in base64.
_ENCODED = re.compile(rf"(?<![{_DIGIT_OR_LETTER}])(?:eyJ|W3si|ew[o0])[A-Za-z0-9+/_-]{{12,}}[A-Za-z0-9+/_.=-]*")
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
_MASKED = re.compile(r"\*\*\*|•••• [0-9]{4}")
_TWO_DIGITS = re.compile("[0-9]{2}")


def is_personal(name: str) -> bool:
    """Whether a field of this name holds something about a person."""
    return _judge(name[:_LONGEST_NAME])[0] or len(name) > _LONGEST_NAME


def is_about_person(name: str) -> bool:
    """Whether a text or an object of this name is about a person as a whole."""
    return _judge(name[:_LONGEST_NAME])[1]


def says_nothing(name: str) -> bool:
    """Whether a field of such an object says nothing about who the person is."""
    return simplify(name[:_LONGEST_NAME]) in _SAYS_NOTHING


def is_hidden(name: str, value: str) -> bool:
    """Whether this text or number of a field of this name says who somebody is; an id that a PSP gave out does not."""
    if not name or len(name) > _LONGEST_NAME:
        return True
    is_one, is_of_person = _judge(name)
    return is_one or (is_of_person and not _ID.fullmatch(value))


def mask_key(name: str) -> str:
    """The name of a field; one with blanks, or with something of a person in it, is none, and hidden."""
    if _PLAIN_NAME.fullmatch(name):
        return name
    is_name = len(name) <= _LONGEST_NAME and not _BLANK.search(name) and mask_patterns(name) == name
    return name if is_name else MASK


def simplify(name: str) -> str:
    """rfccurpordenante for RFC_CurpOrdenante: without case, accents and punctuation."""
    return "".join(filter(str.isalnum, _without_accents(name).lower()))


def mask_value(value: str) -> str:
    """What is shown of a value that is about a person: of an account its last four digits, else nothing."""
    digits = value.replace(" ", "").replace("-", "")
    if len(digits) >= 16 and digits.isascii() and digits.isdigit():
        return mask_account(digits)
    return value if _MASKED.fullmatch(value) else MASK


def mask_patterns(text: str) -> str:
    """The text without CLABEs, RFCs, CURPs, e-mail addresses, telephones, wallets, tokens and queries of addresses."""
    for _ in range(5):  # what is masked may leave something beside it that can be seen only now
        masked = _mask_once(text)
        if masked == text:
            break
        text = masked
    return text


def _mask_once(text: str) -> str:
    if "?" in text:
        text = _URL_QUERY.sub(rf"\1?{MASK}", text)
    if "@" in text or "%40" in text:
        text = _EMAIL.sub(MASK, text)
    text = _ENCODED.sub(MASK, text)
    if "0x" in text:
        text = _WALLET.sub(MASK, text)
    if not _TWO_DIGITS.search(text):
        return text
    text = _CURP.sub(MASK, text)
    text = _CLABE.sub(lambda found: mask_value(found[0]), text)
    text = _RFC.sub(lambda found: MASK if _is_date(found[1], found[2], found[3]) else found[0], text)
    return _PHONE.sub(MASK, text)


@lru_cache(maxsize=8192)
def _judge(name: str) -> tuple[bool, bool]:
    """Whether a field of this name is something about a person, and whether it is about one as a whole."""
    plain = simplify(name)
    if plain in _NOBODYS or plain.startswith(_KINDS):
        return False, False
    words = [word.lower() for word in _WORD.findall(_without_accents(name))]
    is_one = plain in _WHOLE or not _WORDS.isdisjoint(words) or _STEM.search(plain) is not None
    has_role = not (_ROLES.isdisjoint(words) and _ROLES.isdisjoint(word.removesuffix("s") for word in words))
    return is_one, plain in PEOPLE or (has_role and words[-1] not in _ENDS)


def _is_date(year: str, month: str, day: str) -> bool:
    try:
        date(2000 + int(year), int(month), int(day))
    except ValueError:
        return False
    return True


def _without_accents(text: str) -> str:
    if text.isascii():
        return text
    return "".join(mark for mark in unicodedata.normalize("NFD", text) if not unicodedata.combining(mark))
