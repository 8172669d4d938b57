"""Flows that follow rates: what is asked, who talks to whom, which made-up flows fit, and how near they came."""
