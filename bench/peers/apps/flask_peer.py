"""Flask on gunicorn, psycopg2: for each webhook one INSERT, its COMMIT and one Celery message."""

import json
import os

from celery_peer import apply_event
from flask import Flask, Response, request
from psycopg2.pool import ThreadedConnectionPool
from signature import is_signed

INSERT = """
insert into events (event_id, kind, body) values (%s, %s, %s) on conflict (event_id) do nothing returning id
"""


def create_app() -> Flask:
    """The application of one gunicorn worker, with a connection for each of its threads."""
    secret = os.environ["BENCH_SECRET"].encode()
    threads = int(os.environ["BENCH_POOL"])
    pool = ThreadedConnectionPool(threads, threads, os.environ["BENCH_DATABASE_URL"])
    app = Flask(__name__)

    def store(event_id: str, kind: str, body: bytes) -> int | None:
        connection = pool.getconn()
        try:
            connection.autocommit = True  # one statement is a transaction of its own
            with connection.cursor() as cursor:
                cursor.execute(INSERT, (event_id, kind, body))
                row = cursor.fetchone()
                return row and row[0]
        finally:
            pool.putconn(connection)

    @app.get("/readyz")
    def ready() -> Response:
        return Response()

    @app.post("/webhooks/stripe")
    def receive() -> Response:
        body = request.get_data(cache=False)
        if not is_signed(request.headers.get("Stripe-Signature", ""), body, secret):
            return Response(status=401)
        event = json.loads(body)
        stored = store(event["id"], event["type"], body)
        if stored is not None:
            apply_event.apply_async((stored,), ignore_result=True, retry=False)
        return Response()

    return app
