"""Bitso Business: SPEI and crypto deposits, one-time SPEI payments, and payouts. Source: docs.bitso.com."""
