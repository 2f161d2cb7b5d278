"""The stores: where the journal is durable. `sqlite` is the default, `memory` is for tests and
demos.
"""
