"""What is computed: schemas, models and engines; no web, no database."""
