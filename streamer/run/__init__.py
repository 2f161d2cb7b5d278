"""The running daemon: put together by hand, kept, read anew, and ended in order."""
