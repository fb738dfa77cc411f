"""The bare loop that the runtime is measured against: httpx2, one request after another, every call answered at once.

Usage: bare_loop.py BASE_URL
"""

from __future__ import annotations

import asyncio
import json
import os
import sys


async def main(base_url: str) -> None:
    import httpx2

    messages: list[dict[str, object]] = [{"role": "user", "content": "go"}]
    async with httpx2.AsyncClient(base_url=base_url, timeout=60) as client:
        while True:
            body = {"model": "claude-sonnet-5-5", "max_tokens": 1000, "stream": True, "messages": messages}
            body["tools"] = [{"name": "Glob", "description": "Find files.", "input_schema": {"type": "object"}}]
            headers = {"x-api-key": "bench", "anthropic-version": "2026-10-21"}
            content: list[dict[str, object]] = []
            pieces: list[str] = []
            async with client.stream("POST", "/v1/messages", json=body, headers=headers) as response:
                async for line in response.aiter_lines():
                    if not line.startswith("data: "):
                        continue
                    event = json.loads(line[6:])
                    if event["type"] == "content_block_start":
                        content.append(event["content_block"])
                        pieces = []
                    elif event["type"] == "content_block_delta":
                        delta = event["delta"]
                        pieces.append(delta.get("text", delta.get("partial_json", "")))
                    elif event["type"] == "content_block_stop":
                        text = "".join(pieces)
                        if content[-1]["type"] == "tool_use":
                            content[-1]["input"] = json.loads(text or "{}")
                        else:
                            content[-1]["text"] = text
            messages.append({"role": "assistant", "content": content})
            calls = [block for block in content if block["type"] == "tool_use"]
            if not calls:
                break
            names = os.listdir()  # noqa: PTH208 - the bare loop does the least it can
            found = "\n".join(sorted(name for name in names if name.endswith(".txt")))
            results = [{"type": "tool_result", "tool_use_id": call["id"], "content": found} for call in calls]
            messages.append({"role": "user", "content": results})


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
