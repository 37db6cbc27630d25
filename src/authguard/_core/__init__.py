"""Decide whether a request may pass, and do nothing else.

Law 1: nothing in here imports a framework, the network, a database, threads, logging or a
clock. Law 2: what needs the world is a generator that asks a `Question`; a driver answers it.
"""
