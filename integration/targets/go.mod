module github.com/remotedbg/remotedbg/integration/targets

go 1.24.0

require (
	github.com/remotedbg/remotedbg/gate v0.0.0
	github.com/remotedbg/remotedbg/middleware v0.0.0
)

replace (
	github.com/remotedbg/remotedbg/gate => ../../gate
	github.com/remotedbg/remotedbg/middleware => ../../middleware
)
