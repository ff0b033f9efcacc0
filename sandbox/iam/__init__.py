"""What IAM decides: which calls the policies of a role allow. The evaluation itself is ministack's."""
