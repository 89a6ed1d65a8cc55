"""Blobs, queues and secrets: what the use cases need of them, on Azure and in memory."""
