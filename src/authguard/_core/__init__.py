"""Decide whether a request may pass, without side effects.

Law 1: nothing in this package imports a framework, the network, a database, threads, logging or a clock. Law
2: a decision that needs one of them is a generator that asks a `Question`; a driver answers it.
"""
