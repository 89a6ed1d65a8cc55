"""Holds infrastructure and code against each other, without a subscription: `python -m infra.check`."""
