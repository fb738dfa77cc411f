"""Run the Agent SDK repository's own end-to-end tests against this program, offline.

    python scripts/sdk_e2e.py PATH/TO/claude-agent-sdk-python [pytest arguments]

They want a live model; here an obedient one answers: it does what their prompts ask for, in as many calls. The SDK is
installed without the program its wheel brings, and ours stands on PATH as `claude`. docs/sdk.md says what passes.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from agent.testing import FakeMessagesServer, call, http_error, thinking

SDK_VERSION = "0.2.187"
_RUN = re.compile(r"Run(?: this bash command| the command)?: (.+)")
_EXACTLY = re.compile(r"Reply with exactly: (\w+)")
_AGENT = re.compile(r"subagent_type '([\w-]+)', prompt '([^']+)'")
_KNOWN = {"word_count": 2, "character_count": 11, "words": ["Hello", "world"]}
_WRITE = re.compile(r"(?:Write|Create)\b.*?(/[\w./-]+)", re.DOTALL)


def answer(body: dict[str, Any]) -> Any:
    """The obedient model's turn."""
    if "nonexistent" in body["model"]:
        return http_error(404, f"model: {body['model']}")
    messages = body["messages"]
    prompt = next(text for message in reversed(messages) if (text := _said(message)))
    offered = {tool["name"]: tool for tool in body.get("tools", [])}
    called = any(_has(message, "tool_use") for message in messages[_last_prompt(messages) :])
    if called:
        return "DONE."
    if "StructuredOutput" in offered:
        return [{**call("StructuredOutput"), "input": _example(offered["StructuredOutput"]["input_schema"])}]
    if found := _RUN.search(prompt):
        return [call("Bash", command=found[1].strip())]
    if found := _AGENT.search(prompt):
        task = {"description": "a task", "subagent_type": found[1], "prompt": found[2]}
        return [call("Agent", **task, run_in_background=False)]
    if names := [name for name in offered if name.startswith("mcp__") and name.split("__")[2] in prompt]:
        return [{**call(name), "input": _example(offered[name]["input_schema"])} for name in names]
    if (found := _WRITE.search(prompt)) and "Write" in offered:
        return [call("Write", file_path=found[1], content="hello")]
    if found := _EXACTLY.search(prompt):
        return found[1]
    return [thinking(f"They say: {prompt}"), "A short and friendly answer."]


def _said(message: dict[str, Any]) -> str:
    content = message["content"]
    if message["role"] != "user" or isinstance(content, str):
        return content if message["role"] == "user" else ""
    texts = [block["text"] for block in content if block["type"] == "text" and "<system-reminder>" not in block["text"]]
    return "\n".join(texts)


def _last_prompt(messages: list[dict[str, Any]]) -> int:
    return max(at for at, message in enumerate(messages) if _said(message))


def _has(message: dict[str, Any], kind: str) -> bool:
    return isinstance(message["content"], list) and any(block["type"] == kind for block in message["content"])


def _example(schema: dict[str, Any]) -> Any:
    """The smallest value that fits a simple schema."""
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            return {name: _KNOWN.get(name) or _example(part) for name, part in schema.get("properties", {}).items()}
        case "array":
            return [_example(schema.get("items", {}))]
        case "number" | "integer":
            return 2
        case "boolean":
            return True
        case _:
            return "text"


def main() -> int:
    checkout, *arguments = sys.argv[1:]
    with tempfile.TemporaryDirectory() as place, FakeMessagesServer(answer) as server:
        root = Path(place)
        python = root / "sdk" / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", str(root / "sdk")], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--no-binary", "claude-agent-sdk"]
        subprocess.run([*pip, f"claude-agent-sdk=={SDK_VERSION}", "pytest", "anyio"], check=True)
        (root / "bin").mkdir()
        launcher = root / "bin" / "claude"
        launcher.write_text(
            f"#!{sys.executable}\nimport sys\nfrom agent.surfaces.cli import main\nsys.exit(main(sys.argv[1:]))\n"
        )
        launcher.chmod(0o755)
        env = os.environ | {
            "PATH": f"{root / 'bin'}:{os.environ['PATH']}",
            "HOME": str(root),
            "ANTHROPIC_BASE_URL": server.base_url,
            "ANTHROPIC_API_KEY": "sk-test-key-of-the-suite",
        }
        tests = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", checkout]
        done = subprocess.run([*tests, f"{checkout}/e2e-tests", *arguments], env=env, cwd=checkout, check=False)
        print(*server.violations, sep="\n")
        return done.returncode


if __name__ == "__main__":
    sys.exit(main())
