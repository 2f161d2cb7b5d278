"""Payments whose end is unclear: what is known of each, and what their node must still know for its
word to count.
"""
