"""Receipts: what a run has done, signed."""
