"""The cloud on one machine: Azurite, sandboxes of the vendors, and a small Functions host."""
