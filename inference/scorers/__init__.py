"""Scorers: process reward models that say how likely each step of a partial solution is right."""
