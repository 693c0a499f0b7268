"""Stripe: cards, OXXO vouchers, SPEI through customer balance, crypto on-ramp."""
