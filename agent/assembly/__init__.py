"""A run put together: what an agent is configured with becomes a conversation, its tools, rights and recording."""
