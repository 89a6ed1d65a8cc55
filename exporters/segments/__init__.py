"""Finding the snapshots of a segment and bringing their parts to local disk as UTF-8 text."""
