"""Stateful sandboxes of SendGrid, Brevo and Key Vault, with the vendors' limits and quirks, and switches for faults."""
