"""Watching: what is told of what is durable, to watchers, metrics and webhooks. Never waits, and
never fails a payment.
"""
