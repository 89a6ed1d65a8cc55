"""What is due, and the start of a run."""
