"""One person: what is held about them, and its erasure."""
