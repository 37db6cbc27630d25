"""Read and verify JSON Web Tokens and keys (RFC 7515 to 7519)."""
