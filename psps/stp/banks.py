"""From a CLABE to the SPEI participant that keeps the account: two digits and the CLABE's first three.

Source: Banxico's catalogue of SPEI participants as far as payments in Mexico meet it (40 commercial banks, 37 development
banks, 90 all others); stpmex for the one that STP does not serve.
"""

from psps.clabe import is_clabe

STP = "90646"
DEVELOPMENT_BANKS = frozenset({"006", "009", "019", "135", "166", "168"})
FIRST_OF_THE_OTHERS = 600
NOT_SERVED = frozenset({"90642"})


def find_participant(clabe: str) -> str | None:
    """The participant's code, such as 40012; None where this is no CLABE, or STP sends nothing there.

    The code is not looked up in a list: a new bank would be refused until somebody added it, while STP refuses by itself
    an institution that it does not know.
    """
    if not is_clabe(clabe):
        return None
    bank = clabe[:3]
    kind = "37" if bank in DEVELOPMENT_BANKS else "40" if int(bank) < FIRST_OF_THE_OTHERS else "90"
    return None if kind + bank in NOT_SERVED else kind + bank
