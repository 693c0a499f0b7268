"""What the pages of now and of an event say in Spanish."""

NOW = {
    "Renew every ten seconds": "Renovar cada diez segundos",
    "Stop": "Detener",
    "Decided": "Decididos",
    "Last minute": "Último minuto",
    "Last hour": "Última hora",
    "Course of the hour": "Curso de la hora",
    "Nothing in the last hour.": "Nada en la última hora.",
    "The last hour in steps of two minutes.": "La última hora en pasos de dos minutos.",
    "Least": "Mínimo",
    "most": "máximo",
    "last": "último",
    "How long it takes": "Cuánto tarda",
    "Half of them within": "La mitad en",
    "99 of 100 within": "99 de cada 100 en",
    "Of": "De",
    "Until a webhook is acknowledged, of all since its receivers began to count": (
        "Hasta que se acusa recibo de un webhook, de todos desde que sus receptores empezaron a contar"
    ),
    "Until it is decided about, of the last of the hour": "Hasta que se decide sobre él, de los últimos de la hora",
    "Until a webhook is acknowledged is not known here: its receiver counts elsewhere, or nothing came yet. "
    "Its /metrics tells acuse_ack_seconds.": (
        "Aquí no se sabe cuánto tarda el acuse de un webhook: su receptor cuenta en otro sitio, o aún no llegó nada. "
        "Su /metrics lo dice en acuse_ack_seconds."
    ),
    "Accounts": "Cuentas",
    "quiet": "en silencio",
    "missed at": "se le echó de menos el",
    "as usual": "como siempre",
    "held back": "retenidas",
    "next try at": "próximo intento el",
    "Last webhook": "Último webhook",
    "Its webhooks": "Sus webhooks",
    "Calls to it": "Llamadas a él",
    "Quiet is who sends nothing where as many webhooks are usual; reconciliation asks it at once. Calls are held back for "
    "a while after five failures in a row, by each worker for itself.": (
        "En silencio está quien no envía nada cuando lo usual son muchos webhooks; la conciliación le pregunta enseguida. "
        "Las llamadas se retienen un rato tras cinco fallos seguidos, cada worker por su cuenta."
    ),
    "Keys of webhooks": "Claves de los webhooks",
    "Last seen, counted every hour": "Vista por última vez, contado cada hora",
    "None of them names a day on which it ends: they are shared secrets and bare public keys. Certificates of TLS are the "
    "business of whoever ends TLS before Acuse.": (
        "Ninguna dice qué día vence: son secretos compartidos y claves públicas sin certificado. Los certificados de TLS son "
        "asunto de quien termina TLS delante de Acuse."
    ),
}

EVENT = {
    "Received from (UTC)": "Recibidos desde (UTC)",
    "until (UTC)": "hasta (UTC)",
    "Source": "Origen",
    "none of the keys that are configured now": "ninguna de las claves configuradas ahora",
    "the only key": "la única clave",
    "the newest key of": "la clave más nueva de",
    "an older key:": "una clave más antigua:",
    "Next at": "Próximo el",
    "In work until": "En proceso hasta",
    "Last reason": "Último motivo",
    "Calls to the PSP that it answers": "Llamadas al PSP a las que responde",
    "Sent": "Envíos",
    "Queries": "Consultas",
    "First at": "Primero el",
    "Last at": "Último el",
    "Settled": "Resuelta",
    "What arrived": "Lo que llegó",
    "What is about people, and what proves something, is masked.": (
        "Lo que trata de personas y lo que prueba algo está enmascarado."
    ),
    "Card data was taken out before it was stored.": "Los datos de tarjeta se quitaron antes de guardarlo.",
    "A person was erased from it after it had come.": "Se borró de él a una persona después de que llegó.",
    "sealed bytes": "bytes sellados",
    "Header": "Cabecera",
    "Value": "Valor",
    "No headers are kept.": "No se guardan cabeceras.",
    "Body": "Cuerpo",
    "The body is too long to be shown here.": "El cuerpo es demasiado largo para mostrarlo aquí.",
    "Its payload was dropped by retention.": "La retención borró su contenido.",
}
