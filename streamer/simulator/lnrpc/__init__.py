"""The door that speaks as lnd does: its calls, messages, macaroons and texts."""
