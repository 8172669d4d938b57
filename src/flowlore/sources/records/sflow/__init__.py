"""sFlow v5: sampled packet headers and what switches say about them, to the flow table."""
