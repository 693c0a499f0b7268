"""Why an event or a decision came out as it did, in Spanish: what workers write. `{}` stands for what is kept as it is."""

REASONS = {
    # decisions that changed a payment
    "implied": "otro aviso demuestra que se había completado",
    "late_payment": "llegó después de vencer",
    "new_attempt": "un intento nuevo, tras uno fallido",
    "reordered": "llegó tarde y se reordenó la historia",
    "dispute_over": "la disputa terminó",
    "noted": "conviene revisarlo, aunque no cambia nada",
    "adopted": "registrado por este aviso: aquí nadie lo había pedido",
    "expired_by_clock": "venció según nuestro reloj",
    # decisions that were refused
    "amount_mismatch": "el importe no es el de este pago",
    "currency_mismatch": "la moneda no es la de este pago",
    "underpaid": "llegó menos dinero del pedido",
    "overpaid": "llegó más dinero del pedido",
    "received_mismatch": "lo recibido no es lo que se conocía",
    "refund_exceeds_received": "se reembolsaría más de lo recibido",
    "illegal_move": "un cambio que no es posible",
    # events
    "unmatched": "sin pago",
    "no payment of ours fits it": "ningún pago nuestro le corresponde",
    "waiting for its payment": "espera su pago",
    "about another payment": "sobre otro pago",
    "livemode_mismatch": "modo real y de prueba no coinciden",
    "account_not_configured": "la cuenta no está configurada",
    "same key as an earlier delivery, other content": "misma clave que una entrega anterior, con otro contenido",
    "its PSP payment belongs to another payment": "su pago en el PSP es de otro pago nuestro",
    "deposit to an unknown CLABE, sent back": "depósito a una CLABE desconocida, devuelto",
    "its payload is gone": "su contenido ya no existe",
    "its payload was dropped by retention, or erased": "la retención borró su contenido, o se borró a una persona",
    "the database was busy": "la base de datos estaba ocupada",
    "ran out of time": "se acabó el tiempo",
    "the PSP does not know the payment": "el PSP no conoce el pago",
    "the payment is fetched after it": "el pago se consulta después",
    "fetched, and nothing is new": "consultado, sin novedades",
    "the answer names no payment": "la respuesta no nombra ningún pago",
    "the payment belongs to another one at the PSP by now": "en el PSP, el pago ya es de otro",
    "payload cannot be opened: it was changed, or belongs to another event": (
        "no se puede abrir el contenido: se cambió o es de otro evento"
    ),
    # runs of reconciliation
    "paused": "en pausa",
}

TEMPLATES = {
    "unparseable: {}": "no se entiende: {}",
    "refused: {}": "rechazado: {}",
    "not fetched yet: {}": "aún sin consultar: {}",
    "fetched as event {}": "consultado: es el evento {}",
    "payload key missing: {}": "falta la clave del contenido: {}",
    "payload cannot be opened: its key {} is lost": "no se puede abrir el contenido: se perdió su clave {}",
    "gave up after {} attempts": "abandonado tras {} intentos",
    "failed {} times, the last time with {}": "falló {} veces, la última con {}",
    "failed with {}": "falló con {}",
    "cannot be read: fails with {}": "no se puede leer: falla con {}",
    "{} of {} payments had changed": "{} de {} pagos habían cambiado",
}
