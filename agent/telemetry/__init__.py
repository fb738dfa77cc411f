"""What the environment asks to be told of a run: a log in JSON, and traces."""
