"""Claude Code's headless contract: one prompt with `-p`, or NDJSON messages and control requests in both directions.

flags        ->  Session: one process, one conversation, many turns
stdin frames ->  user frames queue as turns; control requests are answered at once (control.py)
run events   ->  messages (messages.py, children.py, result.py), as lines (wire.py) or the answer alone (printed.py)
asking back  ->  permissions (permission.py), hooks (hooks.py) and in-process MCP tools (sdk_mcp.py), over Host
"""
