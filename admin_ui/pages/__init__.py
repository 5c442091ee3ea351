"""One module a page; each registers its page when it is imported."""
