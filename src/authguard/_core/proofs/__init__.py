"""Check proofs of possession: DPoP (RFC 9449) and mutual TLS (RFC 8705)."""
