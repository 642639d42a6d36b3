//go:build linux && amd64

package session

import (
	"os"
	"runtime"
	"runtime/debug"
)

// garbageRoom is how much garbage the agent may always pile up, in bytes: that
// of some hundred stops.
const garbageRoom = 64 << 20

// settleHeap gives back to the machine, which has better use for it, the half of
// what loading took that is garbage now. What is left, the symbols, stays for as
// long as the agent runs; the collector's default, to wait until there is as much
// garbage as that, would double the agent for a large service. GOGC in the
// environment overrules it.
func settleHeap() {
	debug.FreeOSMemory()
	if os.Getenv("GOGC") != "" {
		return
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	debug.SetGCPercent(garbagePercent(m.HeapAlloc))
}

// garbagePercent is that of debug.SetGCPercent for a heap of live bytes.
func garbagePercent(live uint64) int {
	const most, least = 100, 20 // below that the collector would run all the time
	return int(min(max(garbageRoom*100/max(live, 1), least), most))
}
