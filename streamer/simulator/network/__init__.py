"""The pure model of a small Lightning network, and what drives it."""
