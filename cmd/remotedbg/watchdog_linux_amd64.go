package main

import (
	"github.com/remotedbg/remotedbg/internal/live"
	"github.com/remotedbg/remotedbg/internal/watchdog"
)

// asWatchdog is the whole program if attach started it to be its watchdog.
func asWatchdog(args []string) (code int, ours bool) { return watchdog.Main(args, live.HealProbes) }
