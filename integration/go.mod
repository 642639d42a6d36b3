module github.com/remotedbg/remotedbg/integration

go 1.25.0

require github.com/remotedbg/remotedbg v0.0.0

require (
	github.com/google/go-dap v0.12.0
	golang.org/x/sys v0.47.0
)

replace github.com/remotedbg/remotedbg => ../
