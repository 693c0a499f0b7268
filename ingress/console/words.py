"""The console in English and Spanish: pages say English, and this is what is said instead."""

from collections.abc import Callable

from flask import request

LANGUAGES = ("en", "es")
COOKIE = "acuse-language"
SPANISH = {
    "Acuse console": "Consola de Acuse",
    "Skip to the content": "Ir al contenido",
    "Now": "Ahora",
    "Events": "Eventos",
    "Parked": "Apartados",
    "Payments": "Pagos",
    "events": "eventos",
    "Dismiss": "Descartar",
    "The oldest of them, at one time:": "Los más antiguos, a la vez:",
    "They are processed again.": "Se procesan de nuevo.",
    "They are dismissed.": "Quedan descartados.",
    "Nothing was done.": "No se hizo nada.",
    "Actions": "Acciones",
    "Log in": "Entrar",
    "Log out": "Salir",
    "E-mail address": "Correo electrónico",
    "Password": "Contraseña",  # nosec B105 # the word
    "e-mail address or password are wrong": "el correo o la contraseña no son correctos",
    "too many tries: wait a minute": "demasiados intentos: espere un minuto",
    "What waits": "Lo que espera",
    "Queue": "Cola",
    "Waiting": "En espera",
    "Due": "Vencidos",
    "In work": "En proceso",
    "Oldest due for": "El más antiguo, desde hace",
    "Set aside": "Apartados",
    "Nothing is set aside.": "No hay nada apartado.",
    "Received in the last minute": "Recibidos en el último minuto",
    "Decided in the last minute": "Decididos en el último minuto",
    "Nothing in the last minute.": "Nada en el último minuto.",
    "PSP": "PSP",
    "Account": "Cuenta",
    "Status": "Estado",
    "Outcome": "Resultado",
    "Count": "Cantidad",
    "As of": "Al",
    "Renewed every ten seconds.": "Se renueva cada diez segundos.",
    "all": "todos",
    "Key": "Clave",
    "Show": "Mostrar",
    "Event": "Evento",
    "Reason": "Motivo",
    "Received": "Recibido",
    "Finished": "Terminado",
    "Attempts": "Intentos",
    "Older": "Anteriores",
    "No events are found.": "No se encontraron eventos.",
    "Verified with": "Verificado con",
    "Payload": "Contenido",
    "bytes": "bytes",
    "Decisions": "Decisiones",
    "No decisions yet.": "Aún no hay decisiones.",
    "From": "De",
    "To": "A",
    "Said at": "Dicho",
    "Decided at": "Decidido",
    "Process again": "Procesar de nuevo",
    "Why?": "¿Por qué?",
    "A reason is needed.": "Se necesita un motivo.",
    "It is processed again.": "Se procesa de nuevo.",
    "Only what is parked or ignored, and still has its payload, can be processed again.": (
        "Solo se puede procesar de nuevo lo apartado o ignorado cuyo contenido aún existe."
    ),
    "Payment": "Pago",
    "Payment id, ours or the PSP's": "Id del pago, nuestro o del PSP",
    "State": "Estado",
    "Method": "Método",
    "Amount": "Importe",
    "Got": "Cobrado",
    "Refunded": "Reembolsado",
    "Created": "Creado",
    "Changed": "Modificado",
    "Reference": "Referencia",
    "Mode": "Modo",
    "live": "real",
    "test": "prueba",
    "No payments are found.": "No se encontraron pagos.",
    "History": "Historia",
    "Calls to the PSP": "Llamadas al PSP",
    "No calls were made.": "No se hicieron llamadas.",
    "Operation": "Operación",
    "Error": "Error",
    "Discrepancies": "Discrepancias",
    "No discrepancies.": "Sin discrepancias.",
    "Kind": "Tipo",
    "Opened": "Abierta",
    "Closed": "Cerrada",
    "What operators did": "Lo que hicieron los operadores",
    "Nobody has done anything yet.": "Nadie ha hecho nada todavía.",
    "Who": "Quién",
    "What": "Qué",
    "On what": "Sobre qué",
    "When": "Cuándo",
    "This cannot be shown": "Esto no se puede mostrar",
    "this takes too long: name a key or an id": "esto tarda demasiado: indique una clave o un id",
    "an error of ours, which is in the log": "un error nuestro, que está en el registro",
    "the database does not answer": "la base de datos no responde",
    "there is nothing at this address": "no hay nada en esta dirección",
    "there is no such event or payment": "no existe ese evento o pago",
}


def find_language() -> str:
    """What was chosen, or else what the browser prefers."""
    chosen = request.args.get("lang") or request.cookies.get(COOKIE)
    return chosen if chosen in LANGUAGES else request.accept_languages.best_match(LANGUAGES) or "en"


def translator(language: str) -> Callable[[str], str]:
    """A function that says an English text in this language."""
    return (lambda text: SPANISH.get(text, text)) if language == "es" else (lambda text: text)
