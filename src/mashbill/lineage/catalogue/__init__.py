"""The public record as the same circuit that one's own runs have."""
