"""What IAM decides: which calls the policies of a role allow."""
