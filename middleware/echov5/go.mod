module github.com/remotedbg/remotedbg/middleware/echov5

go 1.25.0

require (
	github.com/labstack/echo/v5 v5.4.4
	github.com/remotedbg/remotedbg/gate v0.0.0
	github.com/remotedbg/remotedbg/middleware v0.0.0
	github.com/remotedbg/remotedbg/middleware/adaptertest v0.0.0
)

require (
	github.com/coder/websocket v1.8.15 // indirect
	golang.org/x/time v0.15.0 // indirect
)

replace (
	github.com/remotedbg/remotedbg/gate => ../../gate
	github.com/remotedbg/remotedbg/middleware => ../
	github.com/remotedbg/remotedbg/middleware/adaptertest => ../adaptertest
)
