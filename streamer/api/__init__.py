"""The doors: gRPC, and HTTP from the same schema. The wire stops here; below it everything is the
model.
"""
