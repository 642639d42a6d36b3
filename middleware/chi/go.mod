module github.com/remotedbg/remotedbg/middleware/chi

go 1.24.0

require (
	github.com/go-chi/chi/v5 v5.5.0
	github.com/remotedbg/remotedbg/gate v0.0.0
	github.com/remotedbg/remotedbg/middleware v0.0.0
	github.com/remotedbg/remotedbg/middleware/adaptertest v0.0.0
)

require github.com/coder/websocket v1.8.15 // indirect

replace (
	github.com/remotedbg/remotedbg/gate => ../../gate
	github.com/remotedbg/remotedbg/middleware => ../
	github.com/remotedbg/remotedbg/middleware/adaptertest => ../adaptertest
)
