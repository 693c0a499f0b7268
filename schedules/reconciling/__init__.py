"""Comparing an account with its PSP: windows, runs, comparison, healing."""
