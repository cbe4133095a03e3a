"""Statistics of conduct, one a file: what each looks at, under which null, and as which e-value."""
