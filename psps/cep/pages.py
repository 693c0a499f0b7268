"""What the portal's pages say: Spanish sentences for people, some spelled in HTML entities, some in plain UTF-8.

Source: the recorded traffic and the messages of cep-python (cuenca-mx).
"""

import html
import re
from enum import Enum

from psps.calls import clean_words

# One letter, however it is spelled: two are a letter and its combining accent.
_LETTER = r".{1,2}"


class Page(Enum):
    """Which page it is."""

    QUOTA = "too many questions"
    CAPTCHA = "a picture to be read by a person first, which is shown to who has asked too much"
    IDENTIFIED = "the payment is there, and its proof is not"
    MISSING = "no such payment"
    OTHER = "anything else: that the proof can be downloaded, or the proof itself"


# The page of a payment without proof explains all states, among them that there is no such payment: order counts.
_SENTENCES = (
    (Page.QUOTA, f"excedido el n{_LETTER}mero m{_LETTER}ximo de consultas"),
    (Page.CAPTCHA, "la imagen de seguridad no fue ingresada correctamente"),
    (Page.IDENTIFIED, f"con la informaci{_LETTER}n proporcionada se identific{_LETTER} el siguiente pago"),
    (Page.MISSING, f"no se encontr{_LETTER} ning{_LETTER}n pago con la informaci{_LETTER}n proporcionada"),
    (Page.MISSING, f"el spei no ha recibido una orden de pago que cumpla con el criterio de b{_LETTER}squeda"),
)
_PATTERNS = tuple((page, re.compile(sentence)) for page, sentence in _SENTENCES)
_STATE = re.compile(r"Estado del pago en Banxico ?</td> ?<td> ?([^<>]{1,60}?) ?</td>")


def tell_page(body: bytes) -> Page:
    """Which page this is. Never raises."""
    text = _flatten(body).casefold()
    return next((page for page, pattern in _PATTERNS if pattern.search(text)), Page.OTHER)


def find_state(body: bytes) -> str | None:
    """The portal's own word for the state of a payment without proof, such as Liquidado, En proceso or Devuelto."""
    found = _STATE.search(_flatten(body))
    return clean_words(found[1]) or None if found else None


def _flatten(body: bytes) -> str:
    return " ".join(html.unescape(body.decode("utf-8", "replace")).split())
