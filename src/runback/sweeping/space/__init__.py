"""The search space: its grammar, its identity, its grid."""
