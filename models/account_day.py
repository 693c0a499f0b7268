"""The day on which an account has a payment in its books, as SQL."""

from sqlalchemy import text

# Whatever the clock of who asks: SPEI's operating date, else the date in Mexico City of the moment at which the PSP made it.
ACCOUNT_DAY = text(
    "COALESCE(operating_day, timezone('America/Mexico_City'::text, COALESCE(psp_created_at, created_at))::date)"
)
