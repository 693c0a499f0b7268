"""The merchant API under /v1."""
