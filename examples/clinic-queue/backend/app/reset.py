"""REQ-QUEUE-05: clears the numbers that are left; a scheduler runs `python -m app.reset` every night."""

import asyncio

from redis.asyncio import Redis

from app.settings import REDIS_URL


async def main() -> None:
    async with Redis.from_url(REDIS_URL) as cache:
        await cache.delete("queue:last", "queue:called")


if __name__ == "__main__":
    asyncio.run(main())
