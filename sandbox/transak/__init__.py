"""Transak as the sandbox plays it."""
