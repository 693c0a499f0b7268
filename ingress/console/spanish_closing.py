"""What is in the way of closing a day, in Spanish, by the obstacle's code: for one thing, and for several."""

OBSTACLES = {
    "no_banking_day": ("no es día hábil bancario, así que no es fecha de operación de SPEI",) * 2,
    "not_begun": ("el día no ha empezado",) * 2,
    "not_over": ("el día no ha terminado",) * 2,
    "not_reconciled": ("primero hay que comparar el día entero con el PSP",) * 2,
    "not_compared": (
        "al menos un pago quedó sin comparar; hay que conciliar de nuevo",
        "al menos {count} pagos quedaron sin comparar; hay que conciliar de nuevo",
    ),
    "open_differences": ("una diferencia está abierta", "{count} diferencias están abiertas"),
    "events_received": ("una entrega del día está sin procesar", "{count} entregas del día están sin procesar"),
    "events_hint": (
        "una entrega del día espera la respuesta del PSP",
        "{count} entregas del día esperan la respuesta del PSP",
    ),
    "events_parked": ("una entrega del día está apartada", "{count} entregas del día están apartadas"),
    "events_conflict": (
        "una entrega del día está en conflicto con una anterior de la misma clave",
        "{count} entregas del día están en conflicto con otras anteriores de la misma clave",
    ),
    "attempts_unsettled": (
        "una llamada sobre un pago del día está sin resolver",
        "{count} llamadas sobre pagos del día están sin resolver",
    ),
    "out_of_order": ("ya hay días posteriores cerrados: este los seguiría en la cadena",) * 2,
    "day_before_open": ("un día anterior tiene pagos y no está cerrado: hay que cerrarlo primero",) * 2,
    "past_the_calendar": ("el calendario bancario no llega tan lejos",) * 2,
    "closed_already": ("ya está cerrado",) * 2,
}

# What the English text names besides: where it stands there, and how it is said.
NAMED = {
    "not_begun": (r"begins at (.+)$", "empieza el {}"),
    "not_over": (r"ends at (.+)$", "termina el {}"),
    "not_compared": (r"shows run (\S+)\)", "conciliación {}"),
    "open_differences": (r" open: (.+)$", "{}"),
    "events_received": (r"\(events (.+)\)$", "eventos {}"),
    "events_hint": (r"\(events (.+)\)$", "eventos {}"),
    "events_parked": (r"\(events (.+)\)$", "eventos {}"),
    "events_conflict": (r"\(events (.+)\)$", "eventos {}"),
    "out_of_order": (r"up to (.+?):", "hasta el {}"),
    "day_before_open": (r"^(.+?) has payments", "el {}"),
}
