"""How access was had: statements of our own conduct, and inbound, abuse told from ordinary use."""
