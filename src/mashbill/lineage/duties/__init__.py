"""What terms, licences and house rules say to an artifact."""
