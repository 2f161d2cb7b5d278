"""One script of calls, played on real lnd and on the simulator: both must answer the same.

The network: alice has two channels to bob (of the second, 4,000,000 sat are bob's), bob one to
carol (1,000,000 sat are hers) and a private one to dave, who takes no keysends.
"""
