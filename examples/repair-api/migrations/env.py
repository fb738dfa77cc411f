"""Alembic environment: runs migrations with the application's own engine."""

import asyncio

from alembic import context
from sqlalchemy.engine import Connection

from app.database import engine
from app.models import Base


def migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()


async def online() -> None:
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
        await connection.commit()
    await engine.dispose()


asyncio.run(online())
