"""The tool calls of one answer: judged, bound to what was shown, run and recorded."""
