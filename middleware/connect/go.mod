module github.com/remotedbg/remotedbg/middleware/connect

go 1.24.0

require (
	connectrpc.com/connect v1.19.2
	github.com/remotedbg/remotedbg/gate v0.0.0
)

require (
	github.com/remotedbg/remotedbg/middleware v0.0.0
	google.golang.org/protobuf v1.36.9
)

replace github.com/remotedbg/remotedbg/gate => ../../gate

replace github.com/remotedbg/remotedbg/middleware => ../
