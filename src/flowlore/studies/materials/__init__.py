"""Data sets as studies use them: a function each, from the places where data may lie to labelled, split flows.

A function raises a `FlowloreError` where its data are not there, or not enough; the study says so and leaves the set
out.
"""
