"""Transak: crypto on-ramp."""
