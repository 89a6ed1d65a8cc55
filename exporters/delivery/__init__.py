"""From the first request to the finished ledger."""
