"""Tables, transactions and queries; knows neither the web nor validation."""
