"""The doors: gRPC and a small HTTP port. The wire stops here; below it everything is the model."""
