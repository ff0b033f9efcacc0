"""A local AWS on 127.0.0.1 in which the type is registered and used. For development only, never in the package."""
