"""Differential privacy: noise that hides whether any one account is there, and the budget that it is paid from."""
