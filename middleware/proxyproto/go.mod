module github.com/remotedbg/remotedbg/middleware/proxyproto

go 1.24.0

require github.com/remotedbg/remotedbg/gate v0.0.0

require github.com/pires/go-proxyproto v0.11.0

replace github.com/remotedbg/remotedbg/gate => ../../gate
