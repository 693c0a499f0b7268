"""What the pages of the workbench say in Spanish."""

REPLAY = {
    "Replay": "Reproceso",
    "not there yet": "aún no existe",
    "Parked and ignored events can be processed again. What would change is told first, and nothing is changed by looking.": (
        "Los eventos apartados e ignorados se pueden procesar de nuevo. Primero se dice qué cambiaría; mirar no cambia nada."
    ),
    "Reason (with * at the end: its beginning)": "Motivo (con * al final: su comienzo)",
    "Received from (UTC)": "Recibidos desde (UTC)",
    "Received before (UTC)": "Recibidos antes de (UTC)",
    "Also where the key is gone: it fitted when they came": "También donde la llave ya no está: coincidía cuando llegaron",
    "What would change?": "¿Qué cambiaría?",
    "Fold the whole payment anew": "Recalcular el pago completo",
    "Folded anew": "Recalculado",
    "Stored": "Guardado",
    "They differ.": "Difieren.",
    "They are the same.": "Son iguales.",
    "Events without a payload that can be read, folded as they were understood then:": (
        "Eventos sin contenido que se pueda leer, recalculados como se entendieron entonces:"
    ),
    "Decided then": "Decidido entonces",
    "Understood now": "Entendido ahora",
    "Payments that would change": "Pagos que cambiarían",
    "Now stands": "Estado actual",
    "Would stand": "Estado que tendría",
    "No payment would change.": "Ningún pago cambiaría.",
    "There are more than were looked at here. Events at one time:": "Hay más de los que se miraron aquí. Eventos a la vez:",
    "Comes along.": "Va con los demás.",
    "yes": "sí",
    "no": "no",
    "Signature": "Firma",
    "Goes": "Se procesa",
    "Would end": "Terminaría",
    "It fits.": "Coincide.",
    "It cannot be asked again; its key is active.": "No se puede volver a comprobar; su llave está activa.",
    "An answer to a call of ours.": "Una respuesta a una llamada nuestra.",
    "It fits no active secret: the key was rotated.": "No coincide con ningún secreto activo: la llave se cambió.",
    "What is stored is not what came.": "Lo guardado no es lo que llegó.",
    "It is sealed, and its payload key is not here.": "Está sellado y su clave no está aquí.",
    "It is processed again, though no active secret fits its signature.": (
        "Se procesa de nuevo, aunque ningún secreto activo coincide con su firma."
    ),
    "What is not stored as it came, or cannot be opened, was left.": (
        "Lo que no está guardado como llegó, o no se puede abrir, se dejó."
    ),
    "Set them going": "Ponerlos en marcha",
    "Events a second": "Eventos por segundo",
    "Process all that fit again": "Procesar de nuevo todos los que corresponden",
    "Replay runs": "Reprocesos",
    "Replay run": "Reproceso",
    "Set going": "Puestos en marcha",
    "Why": "Por qué",
    "Begun": "Iniciado",
    "Ended": "Terminado",
    "Nothing was set going by a run yet.": "Aún no hay reprocesos.",
    "It waits: live events go first.": "Espera: los eventos nuevos van primero.",
    "Left: they would end as they did": "Omitidos: terminarían igual",
    "Left: their signature fits no key, or they are not as they came": (
        "Omitidos: su firma no coincide con ninguna llave, o no están como llegaron"
    ),
    "Left: their payload was dropped": "Omitidos: su contenido se eliminó",
    "Steps in a row that failed": "Pasos seguidos que fallaron",
    "Kind of the last failure": "Tipo del último fallo",
    "It paused itself:": "Se pausó solo:",
    "It paused itself, because its steps failed again and again. Once that is mended, it can go on.": (
        "Se pausó solo porque sus pasos fallaban una y otra vez. Cuando eso esté corregido, puede continuar."
    ),
    "Events that could not be read, because their payload was dropped or erased, or its key is not here; what they would change is not known:": (
        "Eventos que no se pudieron leer, porque su contenido se eliminó o se borró, o su clave no está aquí; no se sabe qué cambiarían:"
    ),
    "Looked through up to": "Revisado hasta",
    "Which events": "Qué eventos",
    "Pause": "Pausar",
    "Go on": "Continuar",
    "Stop for good": "Detener definitivamente",
}
