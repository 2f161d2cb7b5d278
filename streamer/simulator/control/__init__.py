"""What goes wrong on command: faults by name, from a seed, and over HTTP."""
