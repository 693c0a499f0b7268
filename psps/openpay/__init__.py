"""Openpay (BBVA): cash vouchers of Paynet, SPEI, cards."""
