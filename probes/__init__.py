"""What the project believes of AWS, and a question to AWS for each belief that can be asked: see guides/aws.md.

Plain boto3: nothing of the handlers is imported, so an answer is AWS's own.
"""
