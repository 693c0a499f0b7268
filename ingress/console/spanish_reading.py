"""What pages that show a part of much, and failures, say in Spanish."""

READING = {
    "There may be older ones: looked at was what arrived since": "Puede haber anteriores: se miró lo que llegó desde el",
    "There may be older ones: looked at was what was made since": "Puede haber anteriores: se miró lo creado desde el",
    "These are the newest; there are older ones.": "Estos son los más nuevos; hay anteriores.",
    "This takes too long at this moment, and is not shown.": "Esto tarda demasiado en este momento y no se muestra.",
    "What waits takes too long to be counted at this moment, and is not shown.": (
        "Contar lo que espera tarda demasiado en este momento, y no se muestra."
    ),
    "Details": "Detalles",
    "the password is right": "la contraseña es correcta",
    "the password is wrong": "la contraseña es incorrecta",
    "the operator is disabled": "el operador está desactivado",
    "many look at once: try again": "muchos miran a la vez: inténtelo de nuevo",
    "somebody else is at it at this moment, and nothing was done: try again": (
        "alguien más está en ello en este momento y no se hizo nada: inténtelo de nuevo"
    ),
}
