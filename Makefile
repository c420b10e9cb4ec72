# Names that people expect. Each is one line into the dev tool.

.PHONY: demo test lint image down

demo:
	cargo dev demo

test:
	cargo dev test

lint:
	cargo dev lint

image:
	cargo dev image

down:
	cargo dev down
