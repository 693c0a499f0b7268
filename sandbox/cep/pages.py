"""The portal's pages, as they were recorded: some in HTML entities, some in plain UTF-8."""

from html import escape

FRAME = """
<div class="bg-banxico title-bar">
    <i class="icono-header icon-{icon}"></i>
    {title}
</div>
{inside}
"""
DOWNLOAD = FRAME.format(
    icon="download",
    title="Descargar CEP",
    inside="""<div class="generaComprobantes">
    <h2>Gracias por utilizar el servicio de descarga de CEP</h2>
    <div id="dSeleccionaFormato">Haga clic sobre el &iacute;cono para descargar el CEP.<br /><br />
        <!-- <a href="descarga.do?formato=PDF"><img src="images/btn-pdf.png" /></a>-->
        <a href="descarga.do?formato=XML" class="boton boton-descarga-xml">XML</a>
    </div>
</div>""",
)
ERROR = """<div id="#error_div">
    <div class="info">
        <p style="padding: 10px;max-width: 500px; text-align: center;">
            {sentence}
        </p>
    </div>
</div>"""
MISSING = FRAME.format(
    icon="warning3",
    title="Error",
    inside=ERROR.format(
        sentence="[BE] No se encontró ningún pago con la información proporcionada. Verifique e intente nuevamente."
    ),
)
CAPTCHA = FRAME.format(
    icon="warning3",
    title="Error",
    inside=ERROR.format(sentence="La imagen de seguridad no fue ingresada correctamente. Favor de validar."),
)
QUOTA = """
<!DOCTYPE html>
<html lang="es">
    <head><title>Comprobante Electr&oacute;nico de Pago</title></head>
    <body>
        <div id="appMain" style="text-align: center;">
            <h1>Lo sentimos, pero ha excedido el n&uacute;mero m&aacute;ximo de consultas en este portal. \
Favor de intentar nuevamente m&aacute;s tarde.</h1>
        </div>
    </body>
</html>
"""
STATE = """<div class="cuerpo-msg">
    <div class="info"><center><strong>Lo sentimos, por el momento no es posible generar el CEP. Con la información \
proporcionada se identificó el siguiente pago:</strong></center></div>
    <table id="xxx" class="styled-table vertical">
        <tbody>
{rows}
        </tbody>
    </table>
    <p class="aviso">IMPORTANTE: Esta consulta no es un Comprobante Electrónico de Pago (CEP).</p>
    <div id="desc_No_encontrado" class="descripcionEstado noSeleccionado">
        <h4>No encontrado</h4>
        <p>El SPEI&reg; no ha recibido una orden de pago que cumpla con el criterio de b&uacute;squeda especificado.</p>
    </div>
</div>"""
FAILURE = "<HTML><HEAD><TITLE>Error 500--Internal Server Error</TITLE></HEAD><BODY></BODY></HTML>"


def state_page(rows: dict[str, str]) -> str:
    """The payment as Banxico knows it, where there is no proof of it."""
    lines = "\n".join(
        f"            <tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in rows.items()
    )
    title = "Informaci&oacute;n del estado del pago"
    return FRAME.format(icon="list", title=title, inside=STATE.format(rows=lines))
