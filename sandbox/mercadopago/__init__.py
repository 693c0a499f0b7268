"""Mercado Pago as the sandbox plays it."""
