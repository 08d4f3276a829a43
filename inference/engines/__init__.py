"""Engines: language models that write one step at a time."""
