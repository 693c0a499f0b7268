"""Mercado Pago: cash vouchers, SPEI and cards in Mexico (site MLM)."""
