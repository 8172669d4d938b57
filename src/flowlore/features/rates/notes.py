"""What is counted beside rates, in words."""

NOTE_MEANINGS = {
    "flows-without-entity": "the source does not know the entity of either side",
    "flows-without-time": "the source gives no start",
    "flows-late": "every step of the flow was closed when it came; it is left out",
    "flows-partly-late": "some steps of the flow were closed when it came; the others have their part of it",
    "flows-ahead": "further ahead of all others than `rates.furthest_ahead_s`; left out",
    "clock-steps": "a hundred flows in a row were that far ahead: the clock was set, and they are believed",
    "flows-too-long": "longer than `rates.longest_flow_s`; spread over the last part only",
    "negative-durations": "counted as flows of no duration",
    "distinct-not-counted": "peers or ports beyond `rates.most_pairs`, in steps that could not be closed",
    "flows-by-frame-bytes": "the source knows no IP bytes of them, but bytes on the wire",
    "flows-by-payload-bytes": "the source knows no IP bytes of them, but payload",
    "flows-without-bytes": "the source knows no bytes of them at all",
    "steps-closed-early": "memory was full (`rates.most_cells`, `rates.most_pairs`)",
    "entities-put-together": "cells of rare entities that became part of `(others)`, since memory was full",
    "rows-without-time": "of a plain table",
    "repeated-times": "of a plain table: the last row of a time counts",
    "times-off-the-grid": "of a plain table: moved to the nearest step",
    "negative-values": "of a plain table: unknown",
    "counter-wraps": "of counters: mended",
    "counter-resets": "of counters: unknown",
}
