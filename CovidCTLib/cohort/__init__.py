"""Thousands of scans: one row a scan, on one machine or on a Spark cluster, continued after any interruption."""
