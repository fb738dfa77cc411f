"""Settings from the environment."""

from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    database_url: str = "postgresql+asyncpg://app:app@localhost:5432/repairs"
    redis_url: str = "redis://localhost:6379/0"
    secret_key: str = "development-only"
    cors_origins: str = "http://localhost:3000"
    debug: bool = False


settings = Settings()
