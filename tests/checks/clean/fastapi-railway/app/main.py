"""The API: a health route that checks the database, JSON logs, orders behind CORS."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from datetime import UTC, datetime

from fastapi import FastAPI, Response
from fastapi.middleware.cors import CORSMiddleware
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


class JSONFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(
            {
                "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
                "level": record.levelname.lower(),
                "message": record.getMessage(),
                "module": record.module,
            }
        )


handler = logging.StreamHandler(sys.stdout)
handler.setFormatter(JSONFormatter())
logging.basicConfig(level=logging.INFO, handlers=[handler])

app = FastAPI()
app.add_middleware(CORSMiddleware, allow_origins=os.environ["CORS_ORIGINS"].split(","), allow_credentials=True)
engine = create_async_engine(os.environ["DATABASE_URL"])
signing_key = os.environ["SECRET_KEY"]


async def ping() -> None:
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))


@app.get("/health")
async def health(response: Response) -> dict[str, str]:
    try:
        await asyncio.wait_for(ping(), timeout=2)
    except (TimeoutError, OSError):
        response.status_code = 503
        return {"status": "unhealthy", "database": "down", "timestamp": datetime.now(UTC).isoformat()}
    return {"status": "healthy", "database": "up", "timestamp": datetime.now(UTC).isoformat()}
