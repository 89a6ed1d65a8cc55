"""The email-marketing services, one file each. What they share is called from `http`, not inherited."""
