# Everything a contributor or CI runs. Needs Go 1.25 or newer, git, a C compiler
# and, for the tests of the IDE clients, node; the rest comes through the Go
# module proxy and npm when it is first needed.

ADAPTERS := $(addprefix middleware/,adaptertest chi connect echo echov5 fiber gin grpc proxyproto)
MODULES := . gate middleware $(ADAPTERS) integration integration/targets integration/frameworks integration/clientip

# Pinned: a linter that changes by itself breaks commits that were fine.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

# The oldest Go that a service may be built with.
OLDEST_GO := go1.24.13

.PHONY: help demo test test-ide test-sshd bench faults compare-clientip lint install dap-table

help:
	@echo 'make demo         freeze one request of an example service under load (KEEP=1: leave it running)'
	@echo 'make test         all tests of all modules'
	@echo 'make test-ide     VS Code itself, in a headless Chromium, debugs two requests (installs what is missing; SHOTS=DIR: screenshots)'
	@echo 'make test-sshd    remotedbg connect over an OpenSSH server (installs openssh-server if it is missing, as root)'
	@echo 'make bench        what a frozen request costs the others, and latencies'
	@echo 'make faults       the debugger killed, stopped and confused at random moments (about an hour; ROW=kill TRIALS=40: less)'
	@echo 'make compare-clientip  what other libraries take for the client address, row by row'
	@echo 'make lint         gofmt, vet, cross builds, staticcheck, govulncheck'
	@echo 'make dap-table    every DAP request against dlv and remotedbg, into docs/dap.md (LATENCY=1: latencies instead)'
	@echo 'make install      go install of the remotedbg command'

# -buildvcs=false: the commit's stamp is of no use here, and cannot be had in a
# checkout that belongs to another user.
demo:
	@go build -buildvcs=false -o bin/remotedbg ./cmd/remotedbg
	@./bin/remotedbg demo $(if $(KEEP),--keep)

test:
	@.ci/test $(MODULES)

# Not part of test: it installs VS Code from npm and, if there is none, Chromium
# with apt-get. It fails where they cannot be had; .ci/run, which runs it too, goes
# on then and says so.
test-ide:
	@cd integration && go run -buildvcs=false ./ide $(if $(SHOTS),-screenshots '$(abspath $(SHOTS))')

# Not part of test, which has an ssh server of its own: it installs a package.
test-sshd:
	@[ -x /usr/sbin/sshd ] || { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends openssh-server; }
	@cd integration && go test -tags sshd -count=1 -v -run '^TestSSHD$$' .

bench:
	@.ci/bench

faults:
	@cd integration && go run -buildvcs=false ./faults $(if $(ROW),-row $(ROW)) $(if $(TRIALS),-trials $(TRIALS)) $(if $(SEED),-seed $(SEED))

# Without a package, go test shows what the test prints.
compare-clientip:
	@cd integration/clientip && go test -count=1 -run '^TestCompare$$' -args -print

lint:
	@.ci/lint '$(STATICCHECK)' '$(GOVULNCHECK)' '$(OLDEST_GO)' $(MODULES)

dap-table:
	@cd integration && go run -buildvcs=false ./compare $(if $(LATENCY),-latency,-write)

install:
	go install ./cmd/remotedbg
