module spin

go 1.24.0

require github.com/remotedbg/remotedbg/gate v0.0.0

replace github.com/remotedbg/remotedbg/gate => ../../../../gate
