"""Flow table → arrays: what encoders see of a flow. Nothing here reads a file or learns from a label."""
