"""/v1/me: the user who is logged in, and the second factor.

None of these takes an Idempotency-Key: its digest of the request would be one of a password, fit for guessing.
"""

from typing import Any

from ingress.account_terms import find_user
from ingress.api.account_problems import current_user, explained
from ingress.api.account_schemas import BeginInput, CodeInput, MeOutput, RemoveInput, SecretOutput
from ingress.api.callers import needs
from ingress.api.dependencies import deps
from ingress.api.limits import find_address
from ingress.api.parsing import Blueprint
from ingress.second_factor import NewSecret, begin_totp, confirm_totp, remove_totp

blueprint = Blueprint("me", __name__, url_prefix="/v1/me", description="The user who is logged in")


@blueprint.route("", methods=["GET"])
@needs("user")
@blueprint.response(200, MeOutput)
def get_me() -> dict[str, Any]:
    """Who am I?

    The user behind the token, the merchant, and whether a second factor is confirmed.
    """
    who = current_user()
    with explained():
        user = find_user(deps(), who)
    with deps().open_work(who.merchant_id) as work:
        merchant = work.access.merchants.get(who.merchant_id)
    return {
        "id": user.id,
        "email": user.email,
        "merchant": merchant,
        "second_factor": user.totp_confirmed_at is not None,
        "created_at": user.created_at,
    }


@blueprint.route("/totp", methods=["POST"])
@needs("user")
@blueprint.arguments(BeginInput)
@blueprint.response(200, SecretOutput)
def begin_second_factor(said: dict[str, Any]) -> NewSecret:
    """Begin a second factor

    Gives a secret for an authenticator app. Log-ins need its codes once it is confirmed. Counted as a log-in.
    """
    with explained():
        return begin_totp(deps(), current_user(), said["password"], find_address())


@blueprint.route("/totp/confirm", methods=["POST"])
@needs("user")
@blueprint.arguments(CodeInput)
@blueprint.response(204)
def confirm_second_factor(said: dict[str, Any]) -> None:
    """Confirm the second factor

    With the code that the app shows. From then on every log-in needs one.
    """
    with explained():
        confirm_totp(deps(), current_user(), said["totp"])


@blueprint.route("/totp", methods=["DELETE"])
@needs("user")
@blueprint.arguments(RemoveInput)
@blueprint.response(204)
def remove_second_factor(said: dict[str, Any]) -> None:
    """Remove the second factor

    Takes the password and a fresh code. Counted as a log-in.
    """
    with explained():
        remove_totp(deps(), current_user(), said["password"], said.get("totp", ""), find_address())
