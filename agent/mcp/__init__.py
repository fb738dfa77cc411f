"""The Model Context Protocol, both ways: servers a run may use, and this agent as a server.

found = find_servers(places, settings, flags=flags.mcp_config)
servers = Servers(found.configs, root=cwd)
await servers.start()                  # never raises, never hangs: a bad server is `failed`, a slow one `pending`
tools = with_servers(builtin_tools(), servers)
"""

from agent.mcp.client import Servers
from agent.mcp.config import Found, ServerConfig, find_servers
from agent.mcp.resources import with_servers

__all__ = ["Found", "ServerConfig", "Servers", "find_servers", "with_servers"]
