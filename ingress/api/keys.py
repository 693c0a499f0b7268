"""/v1/keys: what programs of a merchant show. Only users manage them, so that no key gets itself more rights."""

from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Response

from ingress.api.account_problems import current_user, explained
from ingress.api.account_schemas import KeyInput, KeyOutput, KeysOutput, NewKeyOutput
from ingress.api.callers import needs
from ingress.api.dependencies import deps
from ingress.api.idempotency import Made, once
from ingress.api.parsing import Blueprint
from ingress.keys import WantedKey, create_key
from models.api_keys import StoredApiKey
from models.merchant_work import MerchantWork
from models.reading import NotFound

blueprint = Blueprint("keys", __name__, url_prefix="/v1/keys", description="API keys, for users who are logged in")


@blueprint.route("", methods=["POST"])
@needs("user")
@blueprint.arguments(KeyInput)
@blueprint.response(201, NewKeyOutput)
def create_api_key(said: dict[str, Any]) -> Response:
    """Make a key

    `key` is shown this once. Of one name two keys can be active at a time, so that one can follow the other.
    """
    wanted = WantedKey(**said | {"scopes": tuple(said["scopes"])})
    merchant_id, now = current_user().merchant_id, deps().clock()

    def perform(work: MerchantWork) -> Made:
        made = create_key(work, merchant_id, wanted, now)
        shown = _show(_get(work, merchant_id, made.stored.id), now)
        return Made(made.stored.id, body=NewKeyOutput().dump(shown | {"key": made.text}), holds_secret=True)

    with explained():
        return once(perform, status=201)


@blueprint.route("", methods=["GET"])
@needs("user")
@blueprint.response(200, KeysOutput)
def list_api_keys() -> dict[str, Any]:
    """List the keys

    Those that are active first, then the newest; never their text.
    """
    merchant_id, now = current_user().merchant_id, deps().clock()
    with deps().open_work(merchant_id) as work:
        return {"keys": [_show(key, now) for key in work.access.api_keys.list_all(merchant_id)]}


@blueprint.route("/<uuid:key_id>", methods=["GET"])
@needs("user")
@blueprint.response(200, KeyOutput)
def get_api_key(key_id: UUID) -> dict[str, Any]:
    """Read a key

    Its prefix, scopes, limit and last use. One that was revoked is not there any more; the list has it still.
    """
    merchant_id = current_user().merchant_id
    with deps().open_work(merchant_id) as work:
        found = _get(work, merchant_id, key_id)
    if found.revoked_at is not None:
        raise NotFound(f"there is no key {key_id}")
    return _show(found, deps().clock())


@blueprint.route("/<uuid:key_id>", methods=["DELETE"])
@needs("user")
@blueprint.response(204)
def revoke_api_key(key_id: UUID) -> None:
    """Revoke a key

    At once: it is good for nothing any more.
    """
    merchant_id = current_user().merchant_id
    with deps().open_work(merchant_id) as work:
        _get(work, merchant_id, key_id)
        work.access.api_keys.revoke(merchant_id, key_id, deps().clock())
        work.commit()


def _get(work: MerchantWork, merchant_id: UUID, key_id: UUID) -> StoredApiKey:
    found = work.access.api_keys.get(merchant_id, key_id)
    if found is None:
        raise NotFound(f"there is no key {key_id}")
    return found


def _show(key: StoredApiKey, now: datetime) -> dict[str, Any]:
    return {name: getattr(key, name) for name in key.__slots__} | {"status": key.find_status(now)}
