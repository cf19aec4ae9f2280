"""Everything on one machine: the embedded Kafka, the sandbox, one worker a role, people and traffic."""
