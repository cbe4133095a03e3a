"""What the words of a prompt say of conduct: a small model that ships with the package."""
