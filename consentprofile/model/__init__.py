"""Pure values and decisions: no input, no output, no clock. Whatever depends on the time is given it."""
