module github.com/remotedbg/remotedbg/gate

go 1.24.0
