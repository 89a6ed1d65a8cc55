"""What HTTP callers see: resources, and problem documents for what goes wrong."""
