"""Test over real sockets, against real servers on the loopback interface."""
