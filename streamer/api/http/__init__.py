"""The HTTP door: JSON by the google.api.http annotations in proto/, its page and its OpenAPI."""
