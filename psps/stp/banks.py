"""From a CLABE to the SPEI participant that keeps the account: the participant's kind and the CLABE's first three digits.

The kind cannot be told from the bank code: Nu became a bank and is 40638 among the 90xxx. So the banks are a list. One that
is missing here is refused before any call, and is added below once it is in Banxico's list.
Source: Banxico's list of institutions (www.banxico.org.mx/cep-scl/listaInstituciones.do), as clabe 2.1.11 has it.
"""

STP = "90646"
_BANK_CODES = {
    "40": """
        002 012 014 021 030 036 042 044 058 059 060 062 072 106 108 110 112 113 124 127 128 129 130 132 133 136 137 138 140
        141 143 145 147 148 150 151 152 154 155 156 157 158 159 160 167 638
    """,  # commercial banks
    "37": "006 009 019 135 166 168",  # development banks
    "90": """
        600 601 602 605 616 617 620 630 631 634 646 652 653 656 659 661 670 677 680 683 684 685 688 689 699 703 706 710 714
        715 720 721 722 723 725 727 728 729 730 732 734 738 901 902 903
    """,  # all others
}
# Not in it: 001, Banxico itself (participant 2001), where no customer has an account, and 642, to which STP sends nothing
# (source: stpmex, BLOCKED_INSTITUTIONS).
PARTICIPANTS = {bank: kind + bank for kind, banks in _BANK_CODES.items() for bank in banks.split()}
# Banks that pay to us all the same.
_PAY_ONLY = {"001": "2001", "642": "90642"}


def name_institution(code: int) -> int:
    """The participant's code of a bank that may be told by its CLABE's digits: 40012 for 12; an unknown one as it is."""
    digits = f"{code:03}"
    return int(PARTICIPANTS.get(digits) or _PAY_ONLY.get(digits) or code)


def find_participant(clabe: str) -> str | None:
    """The participant's code, such as 40012; None for a bank that is not known. The CLABE itself is not checked."""
    return PARTICIPANTS.get(clabe[:3])
