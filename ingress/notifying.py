"""What merchants do with their endpoints: register, change, rotate their secrets. Without Flask."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from models.endpoints import Endpoint, NewEndpoint
from models.merchant_work import MerchantWork
from notifications.address import check_url
from notifications.sealing import Sealer
from notifications.signing import new_secret

MOST_ENDPOINTS = 20


class TooManyEndpoints(Exception):
    """The merchant has as many endpoints as one may have."""


class CannotSeal(Exception):
    """There is no key to seal secrets with."""


@dataclass(frozen=True, slots=True)
class EndpointDesk:
    """Endpoints of one merchant in one transaction, which the caller commits."""

    work: MerchantWork
    merchant_id: UUID
    sealer: Sealer | None
    allow_loopback: bool
    now: datetime

    def add(self, url: str, description: str | None, event_types: Sequence[str]) -> tuple[UUID, str]:
        """Register an address; its id and its secret. Raises AddressRefused, TooManyEndpoints, CannotSeal."""
        url = check_url(url, self.allow_loopback).url
        if len(self.work.endpoints.list_all(self.merchant_id)) >= MOST_ENDPOINTS:
            raise TooManyEndpoints(f"{MOST_ENDPOINTS} endpoints are the most that one may have: delete one first")
        secret, endpoint_id = new_secret(), uuid7()
        sealed = self._seal(secret)
        new = NewEndpoint(endpoint_id, self.merchant_id, url, description, event_types, sealed, self.now)
        self.work.endpoints.add(new)
        return endpoint_id, secret

    def change(self, endpoint_id: UUID, change: Mapping[str, Any]) -> Endpoint:
        """Give it another `url`, `event_types` or `description`, as far as they are given. Raises NotFound,
        AddressRefused."""
        before = self.work.endpoints.hold(self.merchant_id, endpoint_id)
        kept = {"url": before.url, "description": before.description, "event_types": before.event_types}
        told = {**kept, **change}
        told["url"] = check_url(told["url"], self.allow_loopback).url
        self.work.endpoints.update(self.merchant_id, endpoint_id, self.now, **told)
        return self.work.endpoints.get(self.merchant_id, endpoint_id)

    def rotate(self, endpoint_id: UUID, grace: timedelta) -> str:
        """A new secret; the one before signs as well for the time of `grace`. Raises NotFound, CannotSeal."""
        secret = new_secret()
        sealed = self._seal(secret)
        self.work.endpoints.rotate_secret(self.merchant_id, endpoint_id, self.now, sealed, self.now + grace)
        return secret

    def _seal(self, secret: str) -> bytes:
        if self.sealer is None:
            raise CannotSeal("endpoints cannot be used here: the operator has to set ACUSE_SECRET_KEYS")
        return self.sealer.seal(secret)
