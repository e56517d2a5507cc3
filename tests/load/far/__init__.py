"""The far side of a load test, in a process of its own; see :mod:`tests.load.farside`.

Nothing of opsconsole is imported: the other side must not share the generator's mistakes.
"""
