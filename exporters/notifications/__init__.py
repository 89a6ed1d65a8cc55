"""Telling a receiver what has become of a run: what is told, that it is told once, and how it is posted."""
