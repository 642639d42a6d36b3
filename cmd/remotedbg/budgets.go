package main

import (
	"strconv"
	"time"

	"github.com/spf13/pflag"
)

// budgetFlags bound what debugging may cost the service. As typed, see
// attachFlags.
type budgetFlags struct {
	maxHold, maxFrozen, stallGuard, follow, extra string
}

// budgets are the flags once they are known to be right.
type budgets struct {
	maxHold    time.Duration
	maxFrozen  int
	stallGuard int  // 0: off
	noFollow   bool // the goroutines of requests run untouched
	noExtra    bool // no more breakpoints than the hardware has
	extraFor   time.Duration
}

func (f *budgetFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.maxHold, "max-hold", "5m", "`DURATION` after which a request that is stopped goes on by itself")
	flags.StringVar(&f.maxFrozen, "max-frozen", "2", "`NUMBER` of requests that may be stopped at the same time; further ones pass. The goroutines of a request count with it")
	flags.StringVar(&f.stallGuard, "stall-guard", "24", "`NUMBER` of goroutines piling up behind a stopped request that make it go on; off: none do")
	flags.StringVar(&f.extra, "extra-breakpoints", "2s", "`DURATION` for which breakpoints beyond the four of the hardware are armed while a request runs, from one stop to the next: other requests that pass them lose microseconds; off: there are none")
	flags.StringVar(&f.follow, "follow", "children", "`WHAT` else is debugged with a request: the goroutines that it starts (children), or off")
}

func (f budgetFlags) check(ms *mistakes) (b budgets) {
	var err error
	if b.maxHold, err = time.ParseDuration(f.maxHold); err != nil || b.maxHold <= 0 {
		ms.add("write a number and its unit, such as 5m or 30s", "--max-hold %s: not a duration longer than nothing", f.maxHold)
	}
	if b.maxFrozen, err = strconv.Atoi(f.maxFrozen); err != nil || b.maxFrozen < 1 {
		ms.add("write 1 or more", "--max-frozen %s: not a number of requests", f.maxFrozen)
	}
	if f.extra == "off" {
		b.noExtra = true
	} else if b.extraFor, err = time.ParseDuration(f.extra); err != nil || b.extraFor <= 0 {
		ms.add("write a number and its unit, such as 2s, or off", "--extra-breakpoints %s: not a duration longer than nothing", f.extra)
	}
	switch f.follow {
	case "children":
	case "off":
		b.noFollow = true
	default:
		ms.add("write children or off", "--follow %s: neither children nor off", f.follow)
	}
	if f.stallGuard == "off" {
		return b
	}
	if b.stallGuard, err = strconv.Atoi(f.stallGuard); err != nil || b.stallGuard < 1 {
		ms.add("write 1 or more, or off", "--stall-guard %s: not a number of goroutines", f.stallGuard)
	}
	return b
}
