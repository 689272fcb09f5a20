"""Schemas, models and engines: all that computes predictions; no web, no database."""
