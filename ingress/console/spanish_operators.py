"""What the page of operators says in Spanish."""

OPERATORS = {
    "Operators": "Operadores",
    "New operators and passwords are made on the command line:": (
        "Los operadores nuevos y las contraseñas se hacen en la línea de comandos:"
    ),
    "disabled": "desactivado",
    "Since": "Desde",
    "This is you: another admin says what you may do.": "Es usted: otro administrador dice lo que puede hacer.",
    "Role": "Papel",
    "Change the role": "Cambiar el papel",
    "Enable": "Activar",
    "Disable": "Desactivar",
    "The role is changed.": "El papel ha cambiado.",
    "The operator is disabled.": "El operador queda desactivado.",
    "The operator can log in again.": "El operador puede entrar de nuevo.",
    "there is no such operator": "no existe tal operador",
    "another admin has to do this: nobody changes what they may do themselves": (
        "tiene que hacerlo otro administrador: nadie cambia lo que puede hacer uno mismo"
    ),
}
