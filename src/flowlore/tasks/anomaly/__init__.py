"""Which flows are strange, learnt without any label: methods to stand beside the graph network's surprise."""
