"""What the code must keep to, read from its text: how records are made, and who appends to the
journal.
"""
