"""How access was had: the journal of teacher calls, and fetching files from where they live."""
