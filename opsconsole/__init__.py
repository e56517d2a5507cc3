"""opsconsole: run, watch, load-test and sign off reranker servers from one terminal."""

__version__ = "0.1.0"
