"""Stripe as the sandbox plays it."""
