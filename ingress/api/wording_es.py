"""What the timeline says, in Spanish as in Mexico. Pure data; ingress/api/wording.py tells what each of these is."""

from collections.abc import Mapping

from models.states import AttemptStatus, DeliveryStatus, EventKind, Operation, Outcome, PaymentState, Source

STATES: Mapping[str, str] = {
    PaymentState.PENDING: "pendiente",
    PaymentState.PROCESSING: "en proceso",
    PaymentState.COMPLETED: "completado",
    PaymentState.FAILED: "fallido",
    PaymentState.EXPIRED: "vencido",
    PaymentState.CANCELED: "cancelado",
    PaymentState.PARTIALLY_REFUNDED: "reembolsado en parte",
    PaymentState.REFUNDED: "reembolsado",
    PaymentState.DISPUTED: "en disputa",
    PaymentState.RETURNED: "devuelto",
}
STAYS = "el pago sigue {state}"
BECOMES = "el pago ahora está {state}"
NOTHING_CHANGED = "nada cambió"

REPORTS: Mapping[str, str] = {
    Source.WEBHOOK: "el proveedor de pagos informó {news}",
    Source.SUBMISSION: "en respuesta a la solicitud, el proveedor de pagos informó {news}",
    Source.FETCH: "al ser consultado, el proveedor de pagos informó {news}",
    Source.RECONCILIATION: "la lista del proveedor de pagos indica {news}",
}
NEWS: Mapping[str, str] = {
    EventKind.PENDING: "que el pago está registrado y todavía no se ha pagado",
    EventKind.PARTIALLY_FUNDED: "que hasta ahora solo llegó una parte del monto",
    EventKind.PROCESSING: "que el pago está en proceso",
    EventKind.FAILED: "que el pago falló",
    EventKind.EXPIRED: "que el pago venció",
    EventKind.CANCELED: "que el pago se canceló",
    EventKind.COMPLETED: "que el pago se completó",
    EventKind.REFUNDED: "que se reembolsó dinero",
    EventKind.REFUND_FAILED: "que un reembolso no le llegó al pagador",
    EventKind.DISPUTE_INQUIRY: "que el banco del pagador pidió una aclaración sobre el pago",
    EventKind.DISPUTED: "que el banco del pagador disputó el pago (contracargo)",
    EventKind.DISPUTE_WON: "que una disputa se resolvió a favor de usted",
    EventKind.DISPUTE_LOST: "que una disputa se resolvió a favor del pagador",
    EventKind.RETURNED: "que el dinero se devolvió",
}
REFUNDED_TOTAL = "cuánto del pago está reembolsado"

REMARKS: Mapping[str, str] = {
    "implied": "Esto demuestra que el pago ya se había completado, aunque ningún aviso lo había dicho.",
    "late_payment": "El pago había vencido; el dinero, o el aviso de que llegó, se recibió después.",
    "new_attempt": "Un intento anterior había fallado; este sí se completó.",
    "reordered": "El aviso llegó tarde, así que se reordenó el historial: {standing}.",
    "dispute_over": "La disputa terminó: {standing}.",
    "noted": "Conviene que lo revise, aunque {standing}.",
    "adopted": "El pago se registró a partir de este aviso; no se había solicitado aquí.",
}
UNCHANGED: Mapping[str, str] = {
    Outcome.DUPLICATE: "Esto ya se sabía: {standing}.",
    Outcome.STALE: "Esto es anterior a lo que ya se sabía: {standing}.",
    Outcome.UNMATCHED: "No corresponde a ningún pago registrado aquí: {standing}.",
}
REFUSED = "Esto no se aplicó porque {cause}; {standing} y el caso está en revisión."
CAUSES: Mapping[str, str] = {
    "amount_mismatch": "el monto no es el de este pago",
    "currency_mismatch": "la moneda no es la de este pago",
    "underpaid": "llegó menos dinero del solicitado",
    "overpaid": "llegó más dinero del solicitado",
    "received_mismatch": "el monto recibido no es el que se conocía",
    "refund_exceeds_received": "se reembolsaría más de lo que se recibió",
    "illegal_move": "el estado del pago no lo permite",
}
ANY_CAUSE = "contradice lo que se sabe del pago"

REQUESTS: Mapping[str, str] = {
    Operation.CREATE: "la solicitud para crear el pago",
    Operation.REFUND: "la solicitud de reembolso",
    Operation.CANCEL: "la solicitud para cancelar el pago",
}
ATTEMPTS: Mapping[str, str] = {
    AttemptStatus.READY: "{request} está por enviarse al proveedor de pagos",
    AttemptStatus.SENDING: "{request} se está enviando al proveedor de pagos",
    AttemptStatus.UNKNOWN: "{request} se envió, pero todavía no se sabe qué pasó con ella. Se está consultando al "
    "proveedor de pagos y no se vuelve a enviar hasta que quede claro",
    AttemptStatus.DONE: "{request} fue aceptada por el proveedor de pagos",
    AttemptStatus.REFUSED: "{request} fue rechazada",
}
SENT_AGAIN = "{request} no se ha podido realizar hasta ahora y se volverá a enviar"
REFUSED_WITH_CODE = "con el código “{code}”"
REFUSALS: Mapping[str, str] = {
    "not_offered": "Este proveedor de pagos no lo ofrece.",
    "not_refundable": "El proveedor de pagos no puede reembolsar un pago que está en este estado.",
    "not_cancelable": "El proveedor de pagos no puede cancelar un pago que está en este estado.",
    "invalid_clabe": "La CLABE falta o su dígito verificador es incorrecto.",
    "unknown_bank": "La CLABE no es de ningún banco al que se pueda pagar.",
    "invalid_currency": "No se puede hacer en esta moneda.",
    "beneficiary_missing": "Falta el nombre del titular de la cuenta.",
    "crypto_asset_missing": "Falta el criptoactivo que se quiere comprar.",
    "other_collector": "El pago pertenece a otra cuenta del proveedor de pagos.",
    "too_many_pages": "Hay demasiados pagos para encontrar el correcto.",
}

NOTIFICATIONS: Mapping[str, tuple[str, str, str]] = {
    DeliveryStatus.PENDING: (
        "La notificación está por enviarse por primera vez.",
        "El primer intento de notificar falló ({answer}); habrá otro.",
        "Fallaron {attempts} intentos de notificar (el último: {answer}); habrá otro.",
    ),
    DeliveryStatus.DELIVERED: (
        "La notificación se entregó.",
        "La notificación se entregó al primer intento.",
        "La notificación se entregó después de {attempts} intentos.",
    ),
    DeliveryStatus.FAILED: (
        "La notificación no se pudo entregar; ya no se intentará.",
        "La notificación no se pudo entregar en un intento ({answer}); ya no habrá otro.",
        "La notificación no se pudo entregar en {attempts} intentos (el último: {answer}); ya no habrá otro.",
    ),
    DeliveryStatus.SKIPPED: ("La notificación no se entregó: su endpoint se desactivó o se eliminó.",) * 3,
}
ANSWERED = "HTTP {status}"
NOT_ANSWERED = "sin respuesta"
