"""Policies: rules that decide one proposal at a time."""
