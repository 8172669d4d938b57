"""A causal decoder over the steps of rates: what comes next, and how odd what came was (arXiv 2412.20635).

The paper gives no code, sizes or results; this is a reconstruction that goes its own way where the paper's bins are too
coarse to forecast with.
"""
