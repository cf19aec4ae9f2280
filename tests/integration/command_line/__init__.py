"""Commands against a real Kafka, as a person runs them."""
