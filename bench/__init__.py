"""Measurements that anyone can repeat; nothing here is a test, and no test asserts a speed."""
