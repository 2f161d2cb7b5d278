"""The rules: synchronous and pure. No clock, no async, no log; time is an argument."""
