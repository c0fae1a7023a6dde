from crm.admin import company, customer  # noqa: F401  they register their pages
