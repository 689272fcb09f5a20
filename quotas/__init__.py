"""Limits on callers: policies, the window that is never exceeded, and slowapi's Limiter around it."""
