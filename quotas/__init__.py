"""How much a caller may ask: policies, the window that is never exceeded, and slowapi's Limiter around it."""
