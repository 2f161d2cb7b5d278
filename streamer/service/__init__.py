"""The use cases behind the doors: streams, payments, the sending switch, the status."""
