"""The waiting queue: taking a number, calling the next one."""

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from redis.asyncio import Redis

from app.settings import CORS_ORIGINS, REDIS_URL

app = FastAPI(title="Clinic queue")
app.add_middleware(CORSMiddleware, allow_origins=CORS_ORIGINS, allow_methods=["GET", "POST"], allow_headers=["*"])
cache = Redis.from_url(REDIS_URL, decode_responses=True)


@app.post("/tickets", status_code=201)
async def take_number() -> dict[str, int]:
    return {"number": await cache.incr("queue:last")}


@app.post("/calls")
async def call_next() -> dict[str, int]:
    return {"number": await cache.incr("queue:called")}
