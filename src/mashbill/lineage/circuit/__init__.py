"""The circuit: nodes, the arrays they become, and the passes that answer questions over them."""
