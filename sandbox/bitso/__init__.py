"""Bitso Business as the sandbox plays it."""
