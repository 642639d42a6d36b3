//go:build linux && amd64

package main

import (
	"fmt"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// connections is how many clients send requests at the same time.
const connections = 8

// path is what the others ask for, and stopsAt what is debugged. Their handler
// runs over the breakpoint's line.
const path, stopsAt = "/orders/3", "/orders/7"

// traffic is the outcome of (a).
type traffic struct{ control, frozen *kind }

// measureTraffic measures the others while a request is frozen.
func (b *bench) measureTraffic() (*traffic, error) {
	t := &traffic{&kind{name: controlName, during: nothing}, &kind{name: "a request is frozen", during: b.whileFrozen}}
	return t, b.interleave([]*kind{t.control, t.frozen}, func(int) error { return nil })
}

const controlName = "no debugger (control)"

// whileFrozen measures while a request is frozen.
func (b *bench) whileFrozen(s *harness.Service, measure measuring) error {
	d, err := b.attach(s)
	if err != nil {
		return err
	}
	defer d.close()
	_, answered, err := d.freeze(stopsAt)
	if err != nil {
		return err
	}
	if err := measure(d.agent.PID, nil); err != nil {
		return err
	}
	if err := held(answered); err != nil {
		return err
	}
	return d.letGo(answered)
}

// verdict fails if the throughput is below the promise, and below what the
// machine does to itself.
func (t *traffic) verdict() error {
	got, control := median(t.frozen.ratios(throughput)), t.control.ratios(throughput)
	if got < promise && got < control[0] {
		return fmt.Errorf("with a request frozen the others have %.3f of their throughput, promised is %.2f (none against none: %.3f to %.3f)",
			got, promise, control[0], control[len(control)-1])
	}
	return nil
}
