"""Heads that answer from vectors and a few labels, and the simple methods that stand beside them."""
