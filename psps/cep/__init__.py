"""Banxico's electronic proofs of SPEI payments (CEP): a witness beside both banks, and no PSP."""
