"""Adapters: one small module per linter, each mapping its output to findings."""
