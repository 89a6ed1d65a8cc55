"""Puts customer segments on email-marketing lists, with a verdict for every person."""

VERSION = "0.1.0"
