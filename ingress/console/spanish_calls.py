"""What our own code calls the failures of calls to PSPs and of notifications, in Spanish. A PSP's own codes stay as they are."""

CALLS = {
    # calls to PSPs
    "breaker_open": "llamadas retenidas: demasiadas fallaron seguidas",
    "no_turn": "no era su turno",
    "calls_not_configured": "llamadas sin configurar",
    "not_offered": "este PSP no lo ofrece",
    "not_made": "no se hizo; se envía de nuevo",
    "not_found": "no se encuentra",
    "not_found_yet": "aún no se encuentra",
    "not_allowed": "no permitido",
    "not_refundable": "no se puede reembolsar",
    "not_cancelable": "no se puede cancelar",
    "rejected": "rechazado por el PSP",
    "refund_failed": "falló el reembolso",
    "refund_rejected": "el PSP rechazó el reembolso",
    "refund_cancelled": "el PSP canceló el reembolso",
    "unreadable_answer": "respuesta ilegible",
    "unexpected_answer": "respuesta inesperada",
    "unreadable_payment": "pago ilegible",
    "token_expired": "el token de acceso venció",  # nosec B105 # the word
    "too_many_pages": "demasiadas páginas que revisar",
    "too_many_questions": "demasiadas consultas",
    "captcha_wanted": "pide un captcha",
    "malformed_id": "id mal formado",
    "date_changed": "cambió la fecha de operación",
    "no_baseline": "no se sabe qué se había reembolsado antes",
    "no_refund_baseline": "no se sabe qué se había reembolsado antes",
    "deposit_in_doubt": "depósito en duda",
    "other_collector": "es de otra cuenta del PSP",
    "invalid_clabe": "CLABE no válida",
    "unknown_bank": "banco desconocido",
    "invalid_currency": "moneda no válida",
    "beneficiary_missing": "falta el beneficiario",
    "crypto_asset_missing": "falta el criptoactivo",
    # notifications to endpoints
    "refused_address": "dirección no permitida",
    "dns": "no se encuentra el nombre del servidor",
    "connect": "no se pudo conectar",
    "tls": "falló TLS",
    "timeout": "sin respuesta a tiempo",
    "reset": "cortó la conexión",
    "protocol": "la respuesta no es HTTP",
    "secret_unavailable": "no se pudo abrir el secreto del destino",  # nosec B105 # the word
    "gave_up": "abandonada tras demasiados intentos",
    "internal_error": "error nuestro",
    # endpoints that are disabled
    "gone": "respondió que ya no existe",
    "failing": "con fallos",
}

TEMPLATES = {
    "http_{}": "HTTP {}",
    "efws_{}": "error {} de efws",
}
