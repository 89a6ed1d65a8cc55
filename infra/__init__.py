"""Infrastructure: what the app runs on, in Azure and on one machine."""
