# Everything that can be done with Roadstead's source. `make` lists the targets.
.DEFAULT_GOAL := help
.PHONY: help tools demo demo-down build fuzz test test-unit test-api test-chart test-gitops record-gitops test-trust test-orphans test-faults crash-sweep schema-sweep test-others canary test-e2e scenes-in-full bench bench-calibrate bench-operator lint generate

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

FUZZ_SECONDS ?= 20
CARGO_FUZZ = 0.13.2
FUZZ_SUBJECTS = kubeconfig manifest member numbers text

# As `build` has left it: cargo would build a package that is asked for by itself with other features, all over again.
GROUND = $(or $(CARGO_TARGET_DIR),target)/$(shell rustc --print host-tuple)/debug/ground

build: ## Build the operator, the engine stand-in and the test ground
	@echo "building the workspace (four minutes with nothing cached, seconds afterwards)"
	cargo build --workspace --bins

tools: build ## Build Kubernetes, etcd, helm and linters from Go modules, once, into the cache outside the clone
	$(GROUND) tools

demo: tools ## Start a hub and three members on this machine, place a model in the EU, ask it something (needs root)
	$(GROUND) demo

demo-down: build ## End the demo's clusters, and print what on this machine differs from before
	$(GROUND) down

test: tools canary ## All tests: lint, unit and property, on real API servers, on real clusters (needs root)
	cargo fmt --all --check
	@echo "building all tests, so that none waits for another's build"
	cargo test --workspace --no-run
	@echo "side by side, for the one mostly waits: the scenes on real clusters, and everything else (about a quarter of an hour)"
	@$(MAKE) --no-print-directory --jobs=2 test-e2e test-others

test-others: tools ## All tests but the scenes on real clusters
	@$(MAKE) --no-print-directory --jobs=1 test-unit test-api lint test-chart test-gitops test-trust test-orphans test-faults

test-unit: ## Unit, property and architecture tests; need nothing
	@echo "unit, property and architecture tests"
	@# One command over the whole workspace: a selection of packages has other features, and would build everything again.
	cargo test --workspace --lib --bins \
		--test checks --test golden --test lifecycle --test starts --test optimality --test nodes --test placement --test safety \
		--test process --test tidy --test corpus

fuzz: ## Feed each reader of what others write with invented bytes, FUZZ_SECONDS each (needs a C++ compiler; installs cargo-fuzz)
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
	@echo "nothing found; new inputs are in fuzz/target/corpus"

test-api: tools ## The definitions, rules, defaults and columns, on a real API server
	@echo "the API: every rule as a real API server and \`roadstead validate\` see it"
	cargo test --test api

test-chart: tools ## The charts, with the real helm, linters and a real API server
	@echo "charts: linted, rendered and refused by helm; judged by linters and by an API server"
	cargo test --test chart

test-gitops: tools ## What Argo CD, Flux and kstatus make of recorded objects in every state
	@echo "gitops: Argo CD's health script, Flux's expressions and kstatus, on recorded objects"
	cargo test --test gitops

record-gitops: tools ## Record those objects anew from the operator, on a real API server (half a minute)
	ROADSTEAD_WRITE=1 cargo test --test faults -- gitops_

test-trust: tools ## Rights used and granted, and secrets kept, by the operator as a process on real API servers
	@echo "trust: what the operator uses is what it was granted, and it tells no secret (about a minute)"
	cargo test --test trust

test-faults: tools ## The operator killed, lied to and cut off: a real API server and a simulated cloud
	@echo "faults: the operator killed, lied to and cut off (a sample of interruptions; all of them by make crash-sweep)"
	cargo test --test faults

crash-sweep: tools ## Every interruption of creating, scaling, editing and deleting, each in three ways (about a quarter of an hour)
	ROADSTEAD_SWEEP=all cargo test --test faults -- crash_sweep

schema-sweep: tools ## Every change of every field of a deployment, one after another (about ten minutes)
	ROADSTEAD_SEQUENCES=all cargo test --test faults -- sequences

test-orphans: tools ## Orphans and other installations, by the operator as a process on real API servers
	@echo "orphans: what is reported, what is deleted, and what never is (about three minutes)"
	cargo test --test orphans

canary: build
	@echo "building the operator once more, with another pod template, for the scene that upgrades to it"
	cargo build --workspace --features roadstead/render-canary --bin roadstead-canary

test-e2e: tools canary ## The scenes on real clusters (needs root and Debian packages, which it installs)
	@echo "end to end: a hub and three members on this machine (about a quarter of an hour)"
	cargo test --test e2e

scenes-in-full: tools canary ## The longest scenes in full: fifty kills, leaders frozen at two moments, a hub that is away for two minutes
	ROADSTEAD_FULL=1 cargo test --test e2e -- trust_1
	ROADSTEAD_FULL=1 cargo test --test e2e -- trust_3
	ROADSTEAD_FULL=1 cargo test --test e2e -- trust_7

bench: ## Benchmarks against their committed ranges: counts gate, times inform (needs valgrind)
	@echo "benchmarks: a release build (two minutes with nothing cached), then two minutes of measuring"
	cargo bench --package roadstead-perf --bench planner

bench-calibrate: ## Run the benchmarks three times and write their calibration, from which ranges are drawn
	@echo "benchmarks: three runs, about seven minutes"
	cargo bench --package roadstead-perf --bench planner -- --calibrate 3

bench-operator: tools ## The operator against a real API server: writes, rates, memory, silence (twenty minutes and more)
	@echo "operator: a release build, 1,000 deployments applied at once, 1,000 pods scheduled, 5,000 deployments restarted"
	cargo bench --package roadstead-perf --bench operator

lint: ## Formatting, lints and documentation
	@echo "checking the format and the lints"
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

generate: tools ## Write what is generated: crds/, the chart of the definitions and deploy/install.yaml
	cargo run --quiet -- crd --output-dir crds
	cargo run --quiet -- crd --helm-keep --output-dir charts/roadstead-crds/templates
	ROADSTEAD_WRITE=1 cargo test --quiet --test chart install_yaml
