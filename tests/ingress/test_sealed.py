"""The receiver with keys for payloads: the same answers, and nothing in clear behind them."""

import base64
import os
from collections.abc import Callable
from functools import partial

from sqlalchemy import text

from bootstrap_starting import build_engine
from config import Config
from models.payload_reading import PayloadReader
from models.unit_of_work import UnitOfWork
from tests.ingress.conftest import serve_edge
from tests.ingress.http1 import post
from tests.ingress.senders import stripe_body, stripe_headers

SECRET_WORD = b"Zoraida Canario"


def test_what_is_received_is_answered_as_ever_and_sealed(make_config: Callable[..., Config]) -> None:
    config = make_config(ACUSE_PAYLOAD_KEYS=base64.urlsafe_b64encode(os.urandom(32)).decode())
    body = stripe_body("evt_sealed", name=SECRET_WORD.decode())
    with serve_edge(config) as served:
        answers = [post(served.port, "/webhooks/stripe", stripe_headers(body), body) for _ in range(2)]
        conflict = stripe_body("evt_sealed", name=f"{SECRET_WORD.decode()} II")
        answers.append(post(served.port, "/webhooks/stripe", stripe_headers(conflict), conflict))
        assert [answer.status for answer in answers] == [200, 200, 200]
        with served.engine.connect() as connection:
            rows = connection.execute(
                text("select event_id, headers, body, key_id from inbox_payloads order by 1")
            ).all()
    assert [row.headers for row in rows] == [[], []]
    assert all(row.key_id and SECRET_WORD not in bytes(row.body) for row in rows)
    begin = partial(UnitOfWork, build_engine(config, "worker"))
    with begin() as work:
        opened = [PayloadReader(work.connection).get(row.event_id) for row in rows]
    assert [one.body for one in opened if one] == [body, conflict]
    assert [one.content_type for one in opened if one] == ["application/json"] * 2
