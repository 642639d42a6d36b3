module github.com/remotedbg/remotedbg/middleware/adaptertest

go 1.24.0

require (
	github.com/coder/websocket v1.8.15
	github.com/remotedbg/remotedbg/gate v0.0.0
	github.com/remotedbg/remotedbg/middleware v0.0.0
)

replace (
	github.com/remotedbg/remotedbg/gate => ../../gate
	github.com/remotedbg/remotedbg/middleware => ../
)
