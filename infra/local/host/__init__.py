"""A small Functions host: runs the triggers of function_app.py in one process, against real storage."""
