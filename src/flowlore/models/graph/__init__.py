"""A graph network over windows of flows and hosts, taught by hidden links and hidden numbers (arXiv 2409.08111)."""
