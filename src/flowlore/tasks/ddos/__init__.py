"""Floods against hosts, found in their rates: scores by step, thresholds by false alarms a day, alarms with a kind."""
