"""Fuzzing: seeds from real files, mutations, targets, and a watcher that survives what it finds."""
