"""Flowlore: any record of network traffic becomes one flow table."""

__version__ = "0.1.0"
