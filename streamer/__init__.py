"""streamer: a daemon that streams money over the Lightning Network."""

__version__ = "0.1.0"
