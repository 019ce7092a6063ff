"""``facegeom serve``: the analyzer as an HTTP API, with a web page. Needs the extra [serve].

Worker processes import ``work``, ``formats`` and ``problems``. These three do not import FastAPI, which would
add 20 MB to every worker.
"""
