# Tasks on Roadstead's source. `make` lists the targets.
.DEFAULT_GOAL := help
.PHONY: help tools demo demo-down build fuzz test conformance-real conformance-real-sweep test-unit test-api test-chart test-gitops record-gitops test-trust test-orphans test-conformance test-gateway test-services judges judges-full test-clouds test-faults crash-sweep schema-sweep test-others test-checks canary test-e2e scenes-in-full bench bench-gates bench-calibrate bench-operator bench-gateway bench-services lint lint-features lint-dependencies generate

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

FUZZ_SECONDS ?= 20
CARGO_FUZZ = 0.13.2
CARGO_DENY = 0.20.2
FUZZ_SUBJECTS = kubeconfig manifest member numbers text

# The cache outside the clone, as the test ground uses it.
CACHE = $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/roadstead
DENY = $(CACHE)/tools/cargo-deny-$(CARGO_DENY)/bin/cargo-deny

# The vendors' clients that judge the fakes of managed services: one virtual environment for each lock file.
JUDGES_LOCK = tests/clouds/judges/requirements.lock
JUDGES = $(CACHE)/judges/$(shell sha256sum $(JUDGES_LOCK) | cut -c 1-12)
JUDGES_FULL_LOCK = tests/clouds/judges/full/requirements.lock
JUDGES_FULL = $(CACHE)/judges/$(shell sha256sum $(JUDGES_FULL_LOCK) | cut -c 1-12)

# The binary of `build`. `cargo run --package` would select other features and build everything again.
GROUND = $(or $(CARGO_TARGET_DIR),target)/$(shell rustc --print host-tuple)/debug/ground
CLOUDS = $(dir $(GROUND))clouds
# Requests of the drivers to the fakes in the conformance suite, for the judges.
RECORDS = $(abspath $(or $(CARGO_TARGET_DIR),target))/clouds-records

build: ## Build the operator, the engine stand-in and the test ground
	@echo "building the workspace (four minutes with nothing cached, seconds afterwards)"
	cargo build --workspace --bins

tools: build ## Build Kubernetes, etcd, helm and linters, and fetch Envoy, once into the cache outside the clone
	$(GROUND) tools

$(DENY):
	@echo "building cargo-deny $(CARGO_DENY) into $(CACHE) (once; a few minutes)"
	cargo install cargo-deny --locked --quiet --version $(CARGO_DENY) --root $(CACHE)/tools/cargo-deny-$(CARGO_DENY)

demo: tools ## Start a hub and three members on this machine, place a model, lose its cluster, and move it, under load (needs root)
	$(GROUND) demo

demo-down: build ## Stop the demo's clusters, and print the differences to the machine's former state
	$(GROUND) down

test: tools canary $(DENY) ## All tests: lint, unit and property, on real API servers, on real clusters (needs root)
	cargo fmt --all --check
	@echo "building all tests before the first one runs"
	cargo test --workspace --no-run
	@echo "running the tests that mostly wait beside those that compute (about half an hour)"
	@# The end-to-end tests come first for the processor: their clusters renew leases, and their callers give up, by the clock.
	@$(MAKE) --no-print-directory --jobs=4 test-e2e test-faults test-others test-checks

test-others: tools ## The tests on API servers, on fakes of services and of the gateway
	@nice -n 5 $(MAKE) --no-print-directory --jobs=1 test-api test-chart test-gitops test-conformance test-clouds test-services test-gateway test-trust test-orphans

test-checks: ## What needs nothing but a processor: unit tests, the planner's gates, lints and dependencies
	@nice -n 15 $(MAKE) --no-print-directory --jobs=1 test-unit bench-gates lint lint-dependencies

test-unit: ## Unit, property and architecture tests, and a short fuzz; they need no tools
	@echo "unit, property and architecture tests, and a short fuzz"
	@# One command for the whole workspace: a selection of packages would select other features and build everything again.
	cargo test --workspace --lib --bins \
		--test checks --test failover --test golden --test lifecycle --test starts --test optimality --test nodes --test placement --test prices --test allocations --test moves --test division --test remove_first --test standby --test safety --test hours --test in_flight --test turns \
		--test process --test tidy --test corpus --test library

fuzz: ## Fuzz each reader of untrusted bytes for FUZZ_SECONDS (needs a C++ compiler; installs cargo-fuzz)
	@command -v c++ >/dev/null || { echo "a C++ compiler is missing: apt-get install g++"; exit 1; }
	@cargo fuzz --version >/dev/null 2>&1 || { \
		echo "installing cargo-fuzz $(CARGO_FUZZ) beside cargo (some two minutes); cargo uninstall cargo-fuzz removes it"; \
		cargo install cargo-fuzz --locked --version $(CARGO_FUZZ); }
	@echo "building the fuzz targets (some minutes at first)"
	cargo fuzz build --dev --sanitizer none
	@for subject in $(FUZZ_SUBJECTS); do \
		echo "fuzzing $$subject for $(FUZZ_SECONDS) s"; \
		mkdir -p fuzz/target/corpus/$$subject; \
		cargo fuzz run --dev --sanitizer none $$subject fuzz/target/corpus/$$subject fuzz/corpus/$$subject \
			-- -max_total_time=$(FUZZ_SECONDS) -timeout=5 -rss_limit_mb=1024 -verbosity=0 || exit 1; \
	done
	@echo "no findings; new inputs are in fuzz/target/corpus"

test-api: tools ## The definitions, rules, defaults and columns on a real API server
	@echo "API: every rule on a real API server and in \`roadstead validate\`"
	cargo test --test api

test-chart: tools ## The charts with the real helm, linters and a real API server
	@echo "charts: helm, linters and an API server"
	cargo test --test chart

test-gitops: tools ## Argo CD's health script, Flux's expressions and kstatus on recorded objects in every state
	@echo "gitops: Argo CD's health script, Flux's expressions and kstatus, on recorded objects"
	cargo test --test gitops

record-gitops: tools ## Record those objects again from the operator on a real API server (half a minute)
	ROADSTEAD_WRITE=1 cargo test --test faults -- gitops_

test-trust: tools ## Rights and secrets: the operator as a process on real API servers
	@echo "trust: used rights equal granted rights, and no secret leaks (about a minute)"
	cargo test --test trust

test-conformance: tools ## Every driver against one list of cases: a simulated cloud, fakes of services and a real API server
	@echo "conformance: the promises of a driver to the core (some minutes)"
	@rm -rf $(RECORDS)
	ROADSTEAD_CLOUDS_RECORDS=$(RECORDS) cargo test --test conformance -- --test-threads=4

conformance-real: build ## The calm cases of the drivers on the real service of TARGET (a file), for at most DOLLARS (CONTRIBUTING.md)
	@test -n "$(TARGET)" && test -n "$(DOLLARS)" || { echo "say which target and how much it may cost: make conformance-real TARGET=target.yaml DOLLARS=20.00"; exit 1; }
	ROADSTEAD_REAL_TARGET=$(abspath $(TARGET)) ROADSTEAD_REAL_DOLLARS=$(DOLLARS) cargo test --workspace --test conformance

conformance-real-sweep: build ## Remove what such a run left on the real service of TARGET
	@test -n "$(TARGET)" || { echo "say which target: make conformance-real-sweep TARGET=target.yaml"; exit 1; }
	ROADSTEAD_REAL_TARGET=$(abspath $(TARGET)) ROADSTEAD_REAL_TASK=sweep cargo test --workspace --test conformance

# A virtual environment from a lock file, which is complete: $(call judges,LOCK_FILE,FOLDER,PATIENCE)
define judges
	@python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "the judges need Python 3.11 or newer with venv: apt-get install python3-venv"; exit 1; }
	@mkdir -p $(dir $(2))
	@# Another clone may install them at the same time, into the same folder.
	@flock $(2).lock sh -ec 'test ! -e $(2)/complete || exit 0; \
		echo "installing the judges of $(1) into $(2) (once; $(3))"; \
		python3 -m venv --clear $(2); \
		$(2)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: --requirement $(1); \
		touch $(2)/complete'
endef

$(JUDGES)/complete:
	$(call judges,$(JUDGES_LOCK),$(JUDGES),half a minute)

$(JUDGES_FULL)/complete:
	$(call judges,$(JUDGES_FULL_LOCK),$(JUDGES_FULL),one to two minutes)

judges: $(JUDGES)/complete ## Install the vendors' clients that judge the fakes, once into the cache outside the clone

test-clouds: build judges test-conformance ## The fakes of managed services, and the requests of the drivers, judged by the vendors' own clients
	@echo "clouds: the vendors' clients run the whole life of endpoints on the fakes (seconds)"
	$(JUDGES)/bin/python -B tests/clouds/judges/main.py $(CLOUDS) $(RECORDS)

judges-full: build $(JUDGES_FULL)/complete ## Judges that are too large for every run: moto and ministack beside the fakes of SageMaker and Bedrock, a driver on moto, and schemathesis on the fake of DigitalOcean (two minutes once built)
	cargo test --workspace --test conformance --no-run
	@echo "clouds: emulators of others beside the fakes, a fuzzer, and a driver on moto (two minutes)"
	$(JUDGES_FULL)/bin/python -B tests/clouds/judges/full/main.py $(CLOUDS)

test-services: tools ## Managed services below the whole operator: a real API server and fakes of the services
	@echo "services: the operator as a process beside fakes of the services (three minutes; make crash-sweep kills it in every call, and takes away every right)"
	cargo test --test services -- --test-threads=8

test-gateway: tools ## The gateway: the real Envoy and a real API server, callers and engines on loopback
	@echo "gateway: Envoy beside roadstead gateway, moves under load, outages (about four minutes)"
	cargo test --test gateway

test-faults: tools ## Kills, wrong answers and lost connections: a real API server and a simulated cloud
	@echo "faults: kills, wrong answers and lost connections (a sample; make crash-sweep tries every interruption)"
	nice -n 5 cargo test --test faults

crash-sweep: tools ## Every interruption of creating, editing, deleting, moving and failing over, in three variants, and every call to a managed service, whose rights are lost one by one, too (an hour or more)
	ROADSTEAD_SWEEP=all cargo test --test faults -- crash_sweep
	ROADSTEAD_SWEEP=all cargo test --test services -- crash_sweep rights

schema-sweep: tools ## Every change of every field of a deployment, one after another (about ten minutes)
	ROADSTEAD_SEQUENCES=all cargo test --test faults -- schema_sweep

test-orphans: tools ## Orphans and other installations: the operator as a process on real API servers
	@echo "orphans: reports and deletions (about three minutes)"
	cargo test --test orphans

canary: build
	@echo "building a second operator with another pod template, for the test of upgrades"
	cargo build --workspace --features roadstead/render-canary --bin roadstead-canary

test-e2e: tools canary ## End-to-end tests on real clusters (need root and Debian packages, which they install)
	@echo "end to end: a hub and three members on this machine (about a quarter of an hour)"
	cargo test --test e2e

scenes-in-full: tools canary ## All end-to-end tests, the longest in full: fifty kills, leaders frozen at two moments, a hub outage of two minutes (half an hour)
	ROADSTEAD_FULL=1 cargo test --test e2e

bench: ## The planner's benchmark against its committed ranges: counts gate, times inform (needs valgrind)
	@echo "benchmarks: a release build (two minutes with nothing cached), then two minutes of measuring"
	cargo bench --package roadstead-perf-planner --bench planner

bench-gates: ## Only the gates of the planner's benchmark (needs valgrind, which root installs)
	@command -v valgrind >/dev/null || { echo "installing the Debian package valgrind"; apt-get update -qq && apt-get install -y -qq --no-install-recommends valgrind; }
	@echo "benchmark: the planner's counts (a release build of the planner, then a minute)"
	cargo bench --package roadstead-perf-planner --bench planner -- --gates

bench-calibrate: ## Run the benchmarks three times and write the calibration for their ranges
	@echo "benchmarks: three runs, about seven minutes"
	cargo bench --package roadstead-perf-planner --bench planner -- --calibrate 3

bench-operator: tools ## The operator on a real API server: writes, rates, memory, silence (twenty minutes or more)
	@echo "operator: a release build, 1,000 deployments applied at once, 1,000 pods scheduled, 5,000 deployments restarted, 1,000 failed over"
	cargo bench --package roadstead-perf --bench operator

bench-gateway: tools ## The gateway beside nginx, plain Envoy and LiteLLM, and with 1,000 deployments (root installs wrk and nginx; ten minutes)
	@command -v wrk >/dev/null && test -x /usr/sbin/nginx || { echo "installing the Debian packages wrk and nginx-light"; apt-get update -qq && RUNLEVEL=1 apt-get install -y -qq --no-install-recommends wrk nginx-light; }
	@echo "gateway: a release build, then ten minutes of load on loopback"
	cargo bench --package roadstead-perf --bench gateway

bench-services: tools ## Memory and calls of an operator with 57 targets of all managed services at rest (a release build, then six minutes)
	@echo "services: a release build, then six minutes of silence with 57 targets"
	cargo build --release --package roadstead
	ROADSTEAD_PROGRAM=$(abspath $(dir $(GROUND))../release/roadstead) cargo test --test services -- --ignored --nocapture

lint: ## Format, clippy and rustdoc
	@echo "checking the format, clippy and rustdoc"
	cargo fmt --all --check
	@# In a folder of its own: tests that begin meanwhile wait for no lock.
	cargo clippy --workspace --all-targets --target-dir target/lint -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --target-dir target/lint

lint-features: ## Three kinds of build: with all drivers, as in the image; with none; with each driver alone (four minutes with nothing cached)
	@echo "checking three kinds of build: with all drivers, as in the image; with none; with each driver alone"
	@# The workspace may give a dependency a feature that the operator forgets to ask for.
	cargo clippy --package roadstead --bins --target-dir target/features -- -D warnings
	@# Other features build the dependencies again: a folder of their own keeps the main one.
	@for features in "" azure-openai azureml baseten bedrock digitalocean huggingface kubernetes openai-compatible sagemaker simulated vertex-ai; do \
		cargo clippy --package roadstead --lib --bins --no-default-features --features "$$features" \
			--target-dir target/features -- -D warnings || exit 1; \
	done

lint-dependencies: $(DENY) ## Licences, bans and sources of dependencies; advisories if their database is reachable
	@echo "checking licences, bans and sources of the dependencies"
	$(DENY) --workspace check --hide-inclusion-graph licenses bans sources
	@if timeout 60 $(DENY) --workspace fetch db >/dev/null 2>&1; then \
		echo "checking advisories"; $(DENY) --workspace check --hide-inclusion-graph advisories; \
	else echo "NOT CHECKED: advisories, because their database (github.com/rustsec/advisory-db) is unreachable"; fi

generate: tools ## Regenerate crds/, the chart of the definitions and deploy/install.yaml
	cargo run --quiet -- crd --output-dir crds
	cargo run --quiet -- crd --helm-keep --output-dir charts/roadstead-crds/templates
	ROADSTEAD_WRITE=1 cargo test --quiet --test chart install_yaml
