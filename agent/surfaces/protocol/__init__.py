"""Claude Code's headless contract: NDJSON messages, and control requests in both directions, over stdin and stdout.

flags        ->  Session: one process, one conversation, many turns
stdin frames ->  user frames queue as turns; control requests are answered at once (control.py)
run events   ->  messages (messages.py, children.py, result.py), one line each (wire.py)
asking back  ->  permissions (permission.py), hooks (hooks.py) and in-process MCP tools (sdk_mcp.py), over Host
"""

from agent.surfaces.protocol.main import main_stream_json

__all__ = ["main_stream_json"]
