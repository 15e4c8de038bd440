"""Measurements that the docs quote; each prints its figures and the command that made them."""
