"""Settings from the environment."""

import os

DATABASE_URL = os.environ.get("DATABASE_URL", "postgresql+asyncpg://app:app@localhost:5432/queue")
REDIS_URL = os.environ.get("REDIS_URL", "redis://localhost:6379/0")
CORS_ORIGINS = os.environ.get("CORS_ORIGINS", "http://localhost:3000").split(",")
