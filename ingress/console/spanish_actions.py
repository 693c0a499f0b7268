"""What operators did, and on what, in Spanish."""

ACTIONS = {
    "discrepancies.approve": "aprobar discrepancia",
    "discrepancies.dismiss": "rechazar discrepancia",
    "events.dismiss": "descartar eventos",
    "events.replay": "procesar eventos de nuevo",
    "notifications.replay": "enviar notificaciones de nuevo",
    "operators.create": "crear operador",
    "operators.disable": "desactivar operador",
    "operators.enable": "reactivar operador",
    "operators.login": "entrar",
    "operators.login_refused": "entrada rechazada",
    "operators.password": "cambiar contraseña",
    "operators.role": "cambiar papel",
    "reconciliation.ask": "pedir conciliación",
    "replay.pause": "pausar reproceso",
    "replay.resume": "continuar reproceso",
    "replay.start": "iniciar reproceso",
    "replay.stop": "detener reproceso",
}
SUBJECTS = {
    "account {}": "cuenta {}",
    "day {}": "día {}",
    "discrepancy {}": "discrepancia {}",
    "endpoint {}": "destino {}",
    "event {}": "evento {}",
    "operator {}": "operador {}",
    "parked {}": "apartados de {}",
    "replay {}": "reproceso {}",
}
