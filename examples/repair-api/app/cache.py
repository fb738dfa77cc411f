"""The cache client."""

from redis.asyncio import Redis

from app.settings import settings

cache: Redis = Redis.from_url(settings.redis_url)
