"""CloudFormation's side: the entry point, the shape of events, clients, and the delivery of logs."""
