"""Conekta as the sandbox plays it."""
