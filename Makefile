# What CI runs, by hand: `make check` in an environment with `pip install -e ".[dev]"`, `make check-lab` with the laboratory too.
.PHONY: check check-lab static static-lab site test slow test-lab browser browser-lab npm attacks soak trace fuzz audit

check: static site test slow browser

check-lab: static-lab test-lab browser-lab

static:
	ruff format --check .
	ruff check .
	mypy
	lint-imports

static-lab:
	cd lab && ruff format --check . && ruff check . && mypy && lint-imports

# The documentation, out/site/index.html; a warning or a link to nothing fails.
site:
	mkdocs build --strict

test:
	pytest

slow:
	pytest -m slow

test-lab:
	cd lab && pytest

browser:
	pytest tests_browser

# The npm package in out/npm, checked by ESLint and TypeScript from npm's registry.
npm:
	python npm/build.py out/npm
	cp npm/eslint.config.js npm/tsconfig.json out/npm
	cd out/npm && npm install --no-save --silent typescript eslint @eslint/js globals @types/node && npx eslint .
	cd out/npm && npx tsc --ignoreConfig --allowJs --strict false --declaration --emitDeclarationOnly --skipLibCheck \
	    --target es2022 --module nodenext --lib es2023,dom,dom.iterable page/overlay.js page/local/*.js && npx tsc -p .
	python npm/build.py out/npm && cd out/npm && npm pack --dry-run

browser-lab:
	cd lab && pytest -m browser

# Each attack on the service for some seconds.
attacks:
	cd lab && pytest -m slow tests/bench/test_attacks.py

# Half an hour of attacks on the service and of steady load, alone and with kills; needs an idle machine.
soak:
	facegeom bench attacks --seconds 30 --minutes 10 -o out/soak

# Calls and changes of file on the way of one photo.
trace:
	python tests/tools/trace_photo.py

# 20,000 damaged photos, videos, JSON files and weights; finds go to out/finds.
fuzz:
	python tests/tools/fuzz.py

# Known weaknesses of what is installed here; needs `pip install pip-audit` and the advisories of PyPI, and fails without them.
audit:
	mkdir -p out
	pip freeze --exclude-editable | grep -v '^facegeom' > out/installed.txt
	pip-audit --strict --no-deps --disable-pip -r out/installed.txt
