from tasks.admin import image, lists, task  # noqa: F401  they register their pages
