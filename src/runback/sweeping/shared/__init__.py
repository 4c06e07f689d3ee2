"""Studies in PostgreSQL that several coordinators share."""
