"""Folders of CTs, pictures and tables with labels, as training learns from them and evaluation judges by them."""
