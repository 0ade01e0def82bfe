"""Tests of the rule table: one generic property for every record, over the samples that stand beside it."""
