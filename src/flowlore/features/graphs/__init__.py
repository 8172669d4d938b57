"""Flows → windowed graphs of flows and hosts, as arrays: nothing is seen before the window in which it ended."""
