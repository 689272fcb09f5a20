"""HTTP itself: the connection, the server, the middleware, direct routes, bodies."""
