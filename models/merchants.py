"""Merchants. Payments that a webhook brings without a merchant of their own belong to the default one."""

from uuid import UUID

DEFAULT_MERCHANT_ID = UUID("00000000-0000-7000-8000-000000000000")
