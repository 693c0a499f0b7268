"""Why a PSP's message moves no payment, or cannot be understood, in Spanish. Names of fields stay as the PSP writes them."""

IGNORED = {
    "not a type that Acuse knows": "no es un tipo que Acuse conozca",
    "not a status that Acuse knows": "no es un estado que Acuse conozca",
    "not a kind of thing that Acuse knows": "no es una clase de objeto que Acuse conozca",
    "not about a payer's payment": "no trata del pago de un pagador",
    "a test of the endpoint": "una prueba del destino",
    "a risk score": "una puntuación de riesgo",
    "the order's other events say what changed about money": "otros eventos de la orden dicen qué cambió en el dinero",
    "an order; the notifications of its payments count": "una orden; cuentan los avisos de sus pagos",
    "an order of the Orders API; the notifications of its payments count": (
        "una orden de la API de órdenes; cuentan los avisos de sus pagos"
    ),
    "a claim; the payment's status tells when its money is held": (
        "un reclamo; el estado del pago dice cuándo se retiene su dinero"
    ),
    "a fraud alert about a delivery; a person should stop the shipment": (
        "una alerta de fraude sobre una entrega; alguien debería detener el envío"
    ),
    "an account was linked or unlinked": "se vinculó o desvinculó una cuenta",
    "about a person and no payment": "sobre una persona, no sobre un pago",
    "about an account and no payment": "sobre una cuenta, no sobre un pago",
    "a sale of crypto; Acuse follows buys": "una venta de criptomonedas; Acuse sigue las compras",
    "an exchange of crypto; no fiat moves": "un cambio entre criptomonedas; no se mueve dinero corriente",
    "crypto sold for money, not a payer's payment": ("criptomonedas vendidas por dinero, no es el pago de un pagador"),
    "a withdrawal, not a payer's payment": "un retiro, no es el pago de un pagador",
    "a transfer between accounts of Openpay": "una transferencia entre cuentas de Openpay",
    "a fee of Openpay": "una comisión de Openpay",
    "money added to the account by SPEI, not a charge": "dinero abonado a la cuenta por SPEI, no es un cargo",
    "a subscription; its charges have events of their own": "una suscripción; sus cargos tienen eventos propios",
    "an order of Openpay's checkout; its charges have events of their own": (
        "una orden del checkout de Openpay; sus cargos tienen eventos propios"
    ),
    "a transaction that is no charge": "una transacción que no es un cargo",
    "a verification of the webhook without a code": "una verificación del webhook sin código",
    "an export, the order stays as it is": "una exportación, la orden sigue como está",
    "a state of received transfers, not of orders": "un estado de transferencias recibidas, no de órdenes",
    "return of an outgoing transfer; the order's cambioEstado says which": (
        "devolución de una transferencia enviada; el cambioEstado de la orden dice cuál"
    ),
    "return of an outgoing transfer; the order's own state says which": (
        "devolución de una transferencia enviada; el estado de la orden dice cuál"
    ),
    "an estado that is not known": "un estado desconocido",
    "an estado that is not known; read the order back from STP": "un estado desconocido; consulte la orden en STP",
    "a status that is not known; read the payment at Bitso": "un estado desconocido; consulte el pago en Bitso",
    "a status that is not known; read the payment intent at Bitso": (
        "un estado desconocido; consulte la intención de pago en Bitso"
    ),
    "a status that is not known; read the funding at Bitso": "un estado desconocido; consulte el depósito en Bitso",
    "a status that is not known; read the withdrawal at Bitso": "un estado desconocido; consulte el retiro en Bitso",
    "a status that is not known; look at the payment in Mercado Pago": (
        "un estado desconocido; vea el pago en Mercado Pago"
    ),
    "a status that is not known; read the transaction at MoonPay": (
        "un estado desconocido; consulte la transacción en MoonPay"
    ),
    "a status that is not known; look at the order at Transak": "un estado desconocido; vea la orden en Transak",
    "an order status that is not known; read the order at Conekta": (
        "un estado de orden desconocido; consulte la orden en Conekta"
    ),
    "a PaymentIntent status that is not known; read it at Stripe": (
        "un estado de PaymentIntent desconocido; consúltelo en Stripe"
    ),
    "a dispute status that is not known; read the dispute at Stripe": (
        "un estado de disputa desconocido; consulte la disputa en Stripe"
    ),
    "an on-ramp status that is not known; read the session at Stripe": (
        "un estado de compra de criptomonedas desconocido; consulte la sesión en Stripe"
    ),
    "an account validation: no money of a payment moves": (
        "una validación de cuenta: no se mueve dinero de ningún pago"
    ),
    "a payment in another country than Mexico": "un pago en otro país que no es México",
    "a payout that is about to come back; the complete funding says so": (
        "un envío que está por volver; lo dirá el depósito completo"
    ),
    "the deposit of a one-time payment, which tells it by itself": (
        "el depósito de un pago único, que lo dice por sí mismo"
    ),
    "a thin event; subscribe this endpoint to snapshot events": (
        "un evento ligero (thin); suscriba este destino a eventos snapshot"
    ),
    "details of a charge; the PaymentIntent's events count": "detalles de un cargo; cuentan los eventos del PaymentIntent",
    "money on a customer's balance; the PaymentIntent's events say what is applied": (
        "dinero en el saldo de un cliente; los eventos del PaymentIntent dicen qué se aplica"
    ),
    "a checkout session without a payment": "una sesión de checkout sin pago",
    "this payment_status moves no payment here": "este payment_status no mueve aquí ningún pago",
    "an authorisation that was released; the PaymentIntent's events count": (
        "una autorización que se liberó; cuentan los eventos del PaymentIntent"
    ),
    "charge.refunded carries the cumulative amount": "charge.refunded lleva el importe acumulado",
}

UNPARSEABLE = {
    "the body is not JSON": "el cuerpo no es JSON",
    "the body is not UTF-8": "el cuerpo no es UTF-8",
    "the body is not a JSON object": "el cuerpo no es un objeto JSON",
    "the body has duplicate keys": "el cuerpo tiene claves repetidas",
    "the body holds NaN or Infinity": "el cuerpo contiene NaN o Infinity",
    "a text holds NUL or a lone surrogate": "un texto contiene NUL o un sustituto suelto",
    "data.object is not of the kind that the type names": "data.object no es de la clase que nombra el tipo",
    "the answer is not an order": "la respuesta no es una orden",
    "the answer is not a PaymentIntent": "la respuesta no es un PaymentIntent",
    "a dispute is not an object": "una disputa no es un objeto",
    "amount_refunded is missing from a refund": "falta amount_refunded en un reembolso",
    "amount_remaining is more than amount": "amount_remaining es más que amount",
    "transaction_details of a completed session has no amounts": (
        "transaction_details de una sesión completada no tiene importes"
    ),
    "fiatCurrency is missing from a paid order": "falta fiatCurrency en una orden pagada",
    "fiatAmount is missing from a paid order": "falta fiatAmount en una orden pagada",
    "baseCurrencyAmount of a transaction whose money has moved is missing": (
        "falta baseCurrencyAmount en una transacción cuyo dinero se movió"
    ),
    "currency_id is not MXN": "currency_id no es MXN",
    "the payment's id is not a number": "el id del pago no es un número",
    "refund or refunds is of another kind": "refund o refunds es de otra clase",
    "status is not a short text": "status no es un texto corto",
    "neither asset nor currency is a short text": "ni asset ni currency es un texto corto",
    "the payload has the ids of two different things": "el contenido tiene los id de dos cosas distintas",
    "a returned withdrawal without its wid, origin id or tracking key": (
        "un retiro devuelto sin su wid, origin id ni clave de rastreo"
    ),
    "one field is given twice in two spellings": "un campo viene dos veces con dos grafías",
    "neither a deposit nor a change of state": "ni un depósito ni un cambio de estado",
    "institucionOrdenante, claveRastreo or fechaOperacion cannot be read": (
        "no se puede leer institucionOrdenante, claveRastreo o fechaOperacion"
    ),
    "institucionContraparte, claveRastreo or fechaOperacion cannot be read": (
        "no se puede leer institucionContraparte, claveRastreo o fechaOperacion"
    ),
    "id or estado cannot be read": "no se puede leer id o estado",
    "estado cannot be read": "no se puede leer estado",
    "idEF cannot be read": "no se puede leer idEF",
    "tipoOrden is neither E nor R": "tipoOrden no es E ni R",
}

TEMPLATES = {
    "the body is nested deeper than {}": "el cuerpo está anidado a más de {} niveles",
    "{} is not an object": "{} no es un objeto",
    "{} is not a short text": "{} no es un texto corto",
    "the id of a {} is not a short text": "el id de un {} no es un texto corto",
    "{} is not true or false": "{} no es true ni false",
    "{} is not a currency code": "{} no es un código de moneda",
    "{} is not a whole amount": "{} no es un importe entero",
    "{} is not a plain decimal amount": "{} no es un importe decimal simple",
    "{} is not an amount with at most {} decimals": "{} no es un importe con {} decimales como máximo",
    "{} is not a time": "{} no es una hora",
    "{} is not a time in seconds": "{} no es una hora en segundos",
    "{} is not a time in milliseconds": "{} no es una hora en milisegundos",
    "{} is not a time with an offset": "{} no es una hora con su desfase",
    "verification code {}; enter it in Openpay's dashboard": (
        "código de verificación {}; escríbalo en el panel de Openpay"
    ),
}
