"""Flow table → time series of every host, prefix, link …: counters by step, live or in one go."""
