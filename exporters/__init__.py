"""Puts customer segments on email-marketing lists, with a verdict for every person."""
