"""`expert-devops mcp` as a process, in tests."""

from __future__ import annotations

import argparse
import sys

from agent.surfaces.mcp import configure_mcp, mcp

parser = argparse.ArgumentParser()
configure_mcp(parser)
sys.exit(mcp(parser.parse_args()))
