"""Openpay as the sandbox plays it."""
