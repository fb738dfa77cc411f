"""The same conversation through the runtime: journal, permissions, typed events and all.

Usage: our_loop.py BASE_URL
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile


async def main(base_url: str) -> None:
    from agent import Agent, Limits

    os.environ["EXPERT_DEVOPS_HOME"] = tempfile.mkdtemp()
    env = {"ANTHROPIC_API_KEY": "bench", "ANTHROPIC_BASE_URL": base_url}
    agent = Agent(cwd=tempfile.mkdtemp(), model="claude-sonnet-5-5", env=env, limits=Limits(turns=None))
    await agent.run("go")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
