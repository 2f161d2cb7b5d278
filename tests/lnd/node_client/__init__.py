"""A client of lnd in another language, written with a library of others: how it is installed, run
and read.
"""
