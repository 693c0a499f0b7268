"""Adyen: who sent a standard webhook. Source: Adyen's Python 16.0.0 and Node 32.1.0 libraries, docs.adyen.com."""
