//go:build linux

package harness

import (
	"fmt"
	"strings"
	"syscall"
	"time"
)

// startTimeout bounds the start of a service or agent; a service built with
// -race on a busy machine takes seconds.
const startTimeout = 30 * time.Second

// Service is a running example service.
type Service struct {
	*Process
	Binary string
	URL    string // "http://127.0.0.1:40123"
}

// StartService starts a binary that Builder.Shop or Target made on a free port and waits
// until it listens.
func StartService(binary string, args ...string) (*Service, error) {
	p, err := Start(binary, append([]string{"-addr", "127.0.0.1:0"}, args...)...)
	if err != nil {
		return nil, err
	}
	const ready = " listening on "
	line, err := p.Stdout.WaitLine(ready, startTimeout)
	if err != nil {
		p.Kill()
		return nil, fmt.Errorf("harness: service: %w\n%s", err, p.Stderr)
	}
	_, addr, _ := strings.Cut(line, ready)
	return &Service{Process: p, Binary: binary, URL: "http://" + addr}, nil
}

// Shutdown stops the service in good order.
func (s *Service) Shutdown() error {
	code, err := s.Stop(syscall.SIGTERM, 10*time.Second)
	if err == nil && code != 0 {
		err = fmt.Errorf("harness: the service ended with %d", code)
	}
	return err
}
