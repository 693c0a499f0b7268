"""/v1/login and what belongs to it: tokens and passwords of users.

None of these takes an Idempotency-Key: its digest of the request would be one of a password, fit for guessing.
"""

from typing import Any

from ingress.accounts import SESSION_LASTS, change_password, log_in, log_out, log_out_everywhere, reset_password
from ingress.api.account_problems import current_user, explained
from ingress.api.account_schemas import LoginInput, PasswordInput, ResetInput, TokenOutput
from ingress.api.callers import needs
from ingress.api.dependencies import deps
from ingress.api.limits import find_address
from ingress.api.parsing import Blueprint, refuse_body
from ingress.api.problems import PROBLEM_JSON, ProblemSchema

COUNTED = ("login.log_in_user", "login.reset_users_password")  # five times a minute, before anything is looked at
blueprint = Blueprint("login", __name__, url_prefix="/v1", description="Log in and out, and passwords")


@blueprint.route("/login", methods=["POST"])
@needs("nobody")
@blueprint.arguments(LoginInput)
@blueprint.response(200, TokenOutput)
@blueprint.alt_response(
    401,
    schema=ProblemSchema,
    content_type=PROBLEM_JSON,
    description="`wrong-credentials`; or `totp-required`: the password is right, and a fresh code is needed too",
)
def log_in_user(said: dict[str, Any]) -> dict[str, Any]:
    """Log in

    Gives a bearer token of an hour. Five tries a minute for an account and for an address.
    """
    with explained():
        opened = log_in(deps(), said["email"], said["password"], said.get("totp"), find_address())
    return {
        "access_token": opened.token,
        "token_type": "Bearer",  # nosec B105 # the word that stands before it
        "expires_in": int(SESSION_LASTS.total_seconds()),
        "expires_at": opened.expires_at,
    }


@blueprint.route("/logout", methods=["POST"])
@needs("user")
@blueprint.response(204)
def log_out_user() -> None:
    """Log out

    The token is good for nothing any more; other sessions of the user go on.
    """
    refuse_body()
    log_out(deps(), current_user())


@blueprint.route("/logout-everywhere", methods=["POST"])
@needs("user")
@blueprint.response(204)
def log_out_user_everywhere() -> None:
    """Log out everywhere

    No token of the user is good for anything any more. API keys go on.
    """
    refuse_body()
    log_out_everywhere(deps(), current_user())


@blueprint.route("/password", methods=["POST"])
@needs("user")
@blueprint.arguments(PasswordInput)
@blueprint.response(204)
def change_users_password(said: dict[str, Any]) -> None:
    """Change the password

    Ends the user's other sessions. Counted as a log-in. 12 to 128 characters.
    """
    with explained():
        change_password(deps(), current_user(), said["password"], said["new_password"], find_address())


@blueprint.route("/password-reset", methods=["POST"])
@needs("nobody")
@blueprint.arguments(ResetInput)
@blueprint.response(204)
@blueprint.alt_response(
    403, schema=ProblemSchema, content_type=PROBLEM_JSON, description="The token is unknown, used or too old"
)
def reset_users_password(said: dict[str, Any]) -> None:
    """Set a new password with a token

    Whoever runs Acuse makes the token; it is good once, for an hour. Ends all sessions. Counted as a log-in.
    """
    with explained():
        reset_password(deps(), said["token"], said["new_password"], find_address())
