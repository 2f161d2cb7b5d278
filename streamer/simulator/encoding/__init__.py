"""How invoices, addresses and records are written: nothing here knows a node."""
