"""Closing an account's day: its lines, its certificate, the chain of certificates."""
