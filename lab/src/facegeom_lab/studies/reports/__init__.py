"""Tables and figures of finished runs beside those of the works that they repeat."""
