"""The books: the one door from memory to the journal, what leaves memory, and the time that both go
by.
"""
