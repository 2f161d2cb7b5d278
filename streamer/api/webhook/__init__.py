"""Events over HTTP to an address of the operator: signed, at least once, and never in the way of
money.

kinds.py      what events there are
outbox.py     which facts are events: they become durable in the commit of the facts themselves
delivery.py   takes them from the journal, posts them, tries again, and deletes what arrived
signature.py  how a receiver knows that they are ours
"""
