"""Values that every room speaks of: ids, instants, addresses, subjects, JSON, base64url. Imports no other room."""
