"""FastAPI on uvicorn, async SQLAlchemy on asyncpg, Redis: for each webhook one INSERT, its COMMIT and one XADD."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from redis.asyncio import Redis
from signature import is_signed
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

INSERT = text("""
insert into events (event_id, kind, body) values (:event_id, :kind, :body)
on conflict (event_id) do nothing returning id
""")


def create_app() -> FastAPI:
    """The application of one uvicorn worker, with a pool of its own."""
    secret = os.environ["BENCH_SECRET"].encode()
    url = os.environ["BENCH_DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://", 1)
    pool = int(os.environ["BENCH_POOL"])
    # One statement is a transaction of its own: AUTOCOMMIT saves the round trips of BEGIN and COMMIT.
    isolation = {"isolation_level": "AUTOCOMMIT"} if os.environ.get("BENCH_AUTOCOMMIT", "1") == "1" else {}
    engine = create_async_engine(url, pool_size=pool, max_overflow=0, **isolation)
    redis = Redis.from_url(os.environ["BENCH_REDIS_URL"])

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await engine.dispose()
        await redis.aclose()

    app = FastAPI(lifespan=lifespan, openapi_url=None)

    @app.get("/readyz")
    async def ready() -> Response:
        return Response()

    @app.post("/webhooks/stripe")
    async def receive(request: Request) -> Response:
        body = await request.body()
        if not is_signed(request.headers.get("stripe-signature", ""), body, secret):
            return Response(status_code=401)
        event = json.loads(body)
        async with engine.begin() as connection:
            values = {"event_id": event["id"], "kind": event["type"], "body": body}
            stored = (await connection.execute(INSERT, values)).scalar()
        if stored is not None:
            await redis.xadd("events", {"id": stored})
        return Response()

    return app
