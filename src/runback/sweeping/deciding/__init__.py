"""Which params come next, and which trial ends early."""
