"""Conekta: cash vouchers, SPEI, cards."""
