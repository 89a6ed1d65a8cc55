"""What people set up: connections, exports, and both as one file."""
