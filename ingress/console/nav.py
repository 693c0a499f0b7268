"""The pages that every page leads to."""

NAV = (
    ("Now", "console.show_now"),
    ("Events", "console.list_events"),
    ("Parked", "console.show_parked"),
    ("Replay", "console.show_replay"),
    ("Payments", "console.list_payments"),
    ("Discrepancies", "console.list_discrepancies"),
    ("Reconciliation", "console.show_reconciliation"),
    ("Endpoints", "console.list_endpoints"),
    ("Workers", "console.show_workers"),
    ("Actions", "console.list_actions"),
)
FOR_ADMINS = (("Operators", "console.list_operators"),)
