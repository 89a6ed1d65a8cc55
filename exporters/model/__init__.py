"""The documents that are stored and the values that the rules work on. No network, no clock, no environment."""
