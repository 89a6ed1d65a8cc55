"""History: which runs there were, and how long they took."""
