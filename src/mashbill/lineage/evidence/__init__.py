"""What can be checked by whoever does not trust the writer: audit, proof, trace."""
