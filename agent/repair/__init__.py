"""A failed workflow run, repaired."""
