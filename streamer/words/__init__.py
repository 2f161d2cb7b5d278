"""Words: the nouns that every floor speaks, money and time as integers, and the reasons; they know
nothing of ours above them.
"""
