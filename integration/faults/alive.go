//go:build linux && amd64

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// stayAlive steps all the time, under load, while the service is watched as in
// production: a liveness probe each second, which fails after a second, and a
// lease of two seconds, which a goroutine of the service renews each half. Ten
// minutes in the full form.
func stayAlive(t *trial) error {
	length := time.Duration(t.scaled(600, 5)) * time.Second
	if err := t.get("/lease", nil); err != nil { // it starts
		return err
	}
	if _, err := t.enter(nexting); err != nil {
		return err
	}
	t.label = fmt.Sprintf("stepping for %v", length)
	p := t.probe("/healthz", time.Second)
	for left := length; left > 0; {
		part := min(left, 2*time.Minute) // a load has its own limit
		load := harness.StartLoad(t.service.URL, "/orders/3", loadWorkers)
		pause(part)
		if r := load.Stop(); r.Failed > 0 {
			return fmt.Errorf("%d others failed: %w", r.Failed, r.FirstBad)
		}
		left -= part
	}
	worst, err := p.stop()
	t.measured("longest answer to a probe", worst)
	var lease struct {
		Renewals, Missed int
		Worst            int `json:"worst_ms"`
	}
	err = errors.Join(err, t.get("/lease", &lease))
	t.measured("longest time between two renewals", time.Duration(lease.Worst)*time.Millisecond)
	t.figure(fmt.Sprintf("%d probes, %d late; %d renewals, %d missed", p.asked, p.late, lease.Renewals, lease.Missed))
	if p.late > 0 || lease.Missed > 0 || lease.Renewals == 0 {
		err = errors.Join(err, fmt.Errorf("%d probes late, %d of %d renewals missed", p.late, lease.Missed, lease.Renewals))
	}
	return err
}

// get asks the service for something and reads the JSON that comes, if into is
// not nil.
func (t *trial) get(path string, into any) error {
	delete(t.want, path)
	body, err := t.body(path)
	delete(t.want, path) // each time another
	if err != nil || into == nil {
		return err
	}
	return json.Unmarshal([]byte(body), into)
}
