"""What people in the office do and see, without a page."""
