"""Beside an archive (PACS): receive studies, analyze them, send the results back, fetch studies.

Needs the packages of the extra ``archive``. Nothing here runs on import, and nothing listens or sends unless the user
starts it with an address.
"""
