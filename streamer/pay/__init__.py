"""Paying: the loop of one node, its connection, its workers, and those who wait."""
