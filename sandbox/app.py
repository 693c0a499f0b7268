"""The sandbox as one Flask application: every simulated PSP under its prefix, a merchant's inbox, the control endpoints."""

from flask import Flask, Response

from sandbox.answers import answer
from sandbox.bitso.api import make_api as make_bitso_api
from sandbox.cep.portal import make_portal
from sandbox.conekta.api import make_api as make_conekta_api
from sandbox.control import make_control
from sandbox.mercadopago.api import make_api as make_mercadopago_api
from sandbox.merchant import make_merchant
from sandbox.misbehaving import Misbehaving
from sandbox.moonpay.api import make_api as make_moonpay_api
from sandbox.openpay.api import make_api as make_openpay_api
from sandbox.state import SandboxState
from sandbox.stp.api import make_api as make_stp_api
from sandbox.stripe.api import make_api as make_stripe_api
from sandbox.transak.api import make_api as make_transak_api


def create_sandbox(state: SandboxState) -> Flask:
    """/stripe/v1/..., /conekta/orders..., /cep/valida.do, /merchant/webhooks, /sandbox/..., /healthz and more."""
    app = Flask(__name__)
    for make in (
        make_stripe_api,
        make_conekta_api,
        make_stp_api,
        make_mercadopago_api,
        make_openpay_api,
        make_moonpay_api,
        make_transak_api,
        make_bitso_api,
        make_portal,
        make_merchant,
        make_control,
    ):
        app.register_blueprint(make(state))

    @app.get("/healthz")
    def tell_alive() -> Response:
        return answer({"status": "ok"})

    app.wsgi_app = Misbehaving(app.wsgi_app, state)  # type: ignore[method-assign]
    return app
