"""Alerts: what can be watched, when it is wrong, how that is worded and where it is sent. decisions/0018."""
